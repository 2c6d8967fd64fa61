//! What a guest agrees to is what was shown, by whom it was shown to, and before anything is given.

use reqwest::Method;

use crate::support::{
    apply::{apply, publish_terms, put_guest},
    client::{Client, parameter},
    journey::Guest,
    process::{Demo, SignsInWith},
    soon,
    visitor::{Answer, Visitor},
};

/// The guest in front of the terms that come after the review of permissions.
async fn at_the_terms(guest: &mut Guest<'_>, link: &str) -> Answer {
    let review = guest.stop_before(link, "accept").await;
    let terms = guest.step(review).await;
    assert!(terms.page().has("open-terms"), "{}", terms.body);
    terms
}

#[tokio::test]
async fn terms_that_were_not_opened_cannot_be_accepted() {
    let demo = Demo::start();
    let mut guest = Guest::new(&demo, demo.person(SignsInWith::HomeOrganisation));
    let terms = at_the_terms(&mut guest, &demo.links.panel_by_id).await;
    let refused = guest.browser.press(&terms.page(), "accept", &[]).await;
    let refused = guest.browser.follow(refused).await;
    assert_eq!(refused.code(), Some("VB4005"), "{}", refused.body);
    assert!(refused.page().has("open-terms"), "it can be done now: {}", refused.body);
    let panel = guest.step(refused).await;
    assert!(panel.page().has("sign-out"), "{}", panel.body);
}

/// L-17, F-25: a version that appears while the page is open is not what was accepted.
#[tokio::test]
async fn l_17_f_25_a_new_version_is_shown_before_it_counts_as_accepted() {
    let demo = Demo::start();
    publish_terms(&demo, "# Addendum\n\nThe first wording.");
    let mut guest = Guest::new(&demo, demo.person(SignsInWith::HomeOrganisation));
    let mut page = at_the_terms(&mut guest, &demo.links.panel_by_id).await;
    for _ in 0..3 {
        if page.body.contains("first wording") {
            break;
        }
        page = guest.step(page).await;
    }
    assert!(page.body.contains("first wording"), "{}", page.body);
    guest.browser.press(&page.page(), "open-terms", &[]).await;
    publish_terms(&demo, "# Addendum\n\nThe second wording.");
    let stale = page.clone();
    assert!(
        soon(async || {
            let answer = guest.browser.press(&stale.page(), "accept", &[]).await;
            page = guest.browser.follow(answer).await;
            page.body.contains("second wording")
        })
        .await,
        "{}",
        page.body
    );
    assert!(page.page().has("open-terms") && !page.page().has("sign-out"), "{}", page.body);
    let panel = guest.step(page).await;
    assert!(panel.page().has("sign-out"), "{}", panel.body);
}

/// L-15, L-18, S-02, S-19: new terms stop what is open, at every way to a token, until they are accepted; then once is enough.
#[tokio::test]
async fn l_15_l_18_s_02_s_19_new_terms_stop_sessions_and_refreshes_until_accepted() {
    let demo = Demo::start();
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request().with("scope", "openid email offline_access").with("prompt", "consent");
    let code = client.code(&mut guest, &request).await;
    let tokens = client.exchange(&demo, &code, &request).await;
    let refresh = |token: &str| vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token.to_owned())];
    // a code that was given before and is exchanged after
    let pending = client.request();
    let pending_code = client.code(&mut guest, &pending).await;

    publish_terms(&demo, "# Addendum\n\nYou will be nice.");
    let mut panel = guest.browser.visit(&demo.links.panel_by_id).await;
    assert!(
        soon(async || {
            panel = guest.browser.visit(&demo.links.panel_by_id).await;
            panel.page().has("open-terms")
        })
        .await,
        "{}",
        panel.body
    );
    let none = client.request().with("prompt", "none");
    let back = guest.browser.open(&none.url()).await.onward().expect("a redirect");
    let error = parameter(&back, "error").expect("an error");
    assert!(["interaction_required", "consent_required"].contains(&error.as_str()), "{back}");
    let answer = client.token(&client.code_grant(&pending_code, &pending.verifier)).await.expect(400);
    assert!(["invalid_grant", "interaction_required"].contains(&answer.json()["error"].as_str().unwrap_or_default()));
    let refresh_token = tokens.refresh_token.expect("a refresh token");
    let answer = client.token(&refresh(&refresh_token)).await.expect(400);
    assert!(["invalid_grant", "interaction_required"].contains(&answer.json()["error"].as_str().unwrap_or_default()));

    guest.pressed.clear();
    let panel = guest.step(panel).await;
    assert!(panel.page().has("sign-out"), "{}", panel.body);
    assert_eq!(guest.pressed, ["open-terms", "accept"], "nothing else was asked");
    guest.browser.visit(&demo.links.panel_by_id).await.expect(200);
    let code = client.code(&mut guest, &pending).await;
    client.exchange(&demo, &code, &pending).await;
    assert_eq!(guest.pressed, ["open-terms", "accept"], "once");
}

/// L-16: a journey is its browser's. Somebody who is lured into it sees that it is lost, and its maker gets nothing.
#[tokio::test]
async fn l_16_l_04_a_journey_in_another_browser_is_lost() {
    let demo = Demo::start();
    let mut attacker = Guest::new(&demo, demo.person(SignsInWith::HomeOrganisation));
    let review = attacker.stop_before(&demo.links.app, "accept").await;
    let mut victim = Visitor::new(&demo);
    victim.open(review.url.as_str()).await.refused(400, "VB4001");
    let crate::support::page::Action::Post(url, fields) = review.page().press("accept", &[]) else { panic!("not a POST") };
    let post =
        victim.request(Method::POST, &url).header("accept", "text/html").header("sec-fetch-site", "same-origin").form(&fields);
    let answer = victim.send(post).await;
    assert!(answer.status.is_client_error(), "{}", answer.body);
    // A victim with a session of their own does not lend it to the journey either.
    let mut signed_in = Guest::new(&demo, demo.person(SignsInWith::OneTimePasscode));
    signed_in.arrive(&demo.links.panel_by_id).await.expect(200);
    signed_in.browser.open(review.url.as_str()).await.refused(400, "VB4001");
}

/// F-27, G-14, T-05: a guest who is blocked is out at once, everywhere.
#[tokio::test]
async fn f_27_g_14_t_05_a_blocked_guest_is_out_at_once() {
    let demo = Demo::start();
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request().with("scope", "openid offline_access").with("prompt", "consent");
    let code = client.code(&mut guest, &request).await;
    let tokens = client.exchange(&demo, &code, &request).await;
    put_guest(&demo, &guest.person.email, false);
    let mut panel = None;
    assert!(
        soon(async || {
            let answer = guest.browser.visit(&demo.links.panel_by_id).await;
            let out = !answer.page().has("sign-out");
            panel = Some(answer);
            out
        })
        .await,
        "{panel:?}"
    );
    let grant = [("grant_type", "refresh_token".to_owned()), ("refresh_token", tokens.refresh_token.expect("a refresh token"))];
    assert_eq!(client.token(&grant).await.expect(400).json()["error"], "invalid_grant");
    client.userinfo(&tokens.access_token).await.expect(401);
    // Signing in again says so, after the proof.
    let mut again = Guest::new(&demo, guest.person.clone());
    again.arrive(&demo.links.panel_by_id).await.refused(403, "VB2003");
    // Unblocked, they sign in as before, and nothing has to be agreed to again.
    put_guest(&demo, &guest.person.email, true);
    let mut again = Guest::new(&demo, guest.person.clone());
    let panel = again.arrive(&demo.links.panel_by_id).await.expect(200);
    assert!(panel.page().has("sign-out") && !again.pressed.contains(&"accept"), "{:?}", again.pressed);
}

/// T-07, T-05, F-26: in a tenant that is suspended nobody is in any more, nobody who is on the way gets in, and no grant gives
/// anything; when it is open again, what was agreed holds.
#[tokio::test]
async fn t_07_t_05_f_26_a_suspended_tenant_gives_nothing() {
    let demo = Demo::start();
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    guest.arrive(&demo.app.url).await.expect(200);
    let request = client.request().with("scope", "openid offline_access").with("prompt", "consent");
    let code = client.code(&mut guest, &request).await;
    let tokens = client.exchange(&demo, &code, &request).await;
    let pending = client.request();
    let pending_code = client.code(&mut guest, &pending).await;
    let mut on_the_way = Guest::new(&demo, demo.person(SignsInWith::OneTimePasscode));
    let review = on_the_way.stop_before(&demo.links.app, "accept").await;

    apply(&demo, "enabled = false\n", &[]);
    let out = async || !guest.browser.visit(&demo.app.url).await.status.is_success();
    assert!(soon(out).await, "the app's own session goes on");
    guest.browser.open(&demo.links.panel_by_id).await.refused(403, "VB1008");
    on_the_way.browser.press(&review.page(), "accept", &[]).await.refused(403, "VB1008");
    on_the_way.browser.open(review.url.as_str()).await.refused(403, "VB1008");
    client.token(&client.code_grant(&pending_code, &pending.verifier)).await.expect(400);
    let refresh = tokens.refresh_token.expect("a refresh token");
    let grant = [("grant_type", "refresh_token".to_owned()), ("refresh_token", refresh)];
    client.token(&grant).await.expect(400);
    client.userinfo(&tokens.access_token).await.expect(403);

    apply(&demo, "enabled = true\n", &[]);
    assert!(soon(async || on_the_way.browser.visit(&demo.links.panel_by_id).await.status.is_success()).await);
    let mut again = Guest::new(&demo, guest.person.clone());
    let panel = again.arrive(&demo.links.panel_by_id).await.expect(200);
    assert!(panel.page().has("sign-out") && !again.pressed.contains(&"accept"), "{:?}", again.pressed);
    client.token(&grant).await.expect(400);
}
