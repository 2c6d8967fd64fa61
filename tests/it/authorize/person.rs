//! Whom the client hears about: whether the person is asked again, when and how they proved who they are.

use serde_json::json;

use super::told;
use crate::support::{
    client::Client,
    journey::{Guest, shared_demo},
    process::{Demo, SignsInWith},
    visitor::Visitor,
};

#[tokio::test]
async fn s_02_c_11_prompt_none_never_shows_a_page_and_never_gives_a_code_when_something_is_owed() {
    let demo = Demo::start();
    let client = Client::of(&demo).await;
    let mut stranger = Visitor::new(&demo);
    let none = client.request().with("prompt", "none");
    let answer = stranger.open(&none.url()).await;
    assert_eq!(told(&client, &none, &answer), "login_required");
    for prompt in ["none login", "none consent", "none select_account", "login none", "consent none", "select_account none"] {
        let request = client.request().with("prompt", prompt);
        let answer = stranger.open(&request.url()).await;
        assert_eq!(told(&client, &request, &answer), "invalid_request", "{prompt}");
    }
    // in the middle of the journey, with the identity proven and nothing agreed to
    let mut guest = Guest::new(&demo, demo.person(SignsInWith::HomeOrganisation));
    guest.stop_before(&demo.links.app, "accept").await;
    let answer = guest.browser.open(&none.url()).await;
    assert!(["login_required", "consent_required", "interaction_required"].contains(&told(&client, &none, &answer).as_str()));
    // and with all of it done, silently
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request().with("prompt", "none");
    let answer = guest.browser.open(&request.url()).await;
    let back = answer.onward().expect("a redirect");
    let code = client.code_in(&back, &request);
    client.exchange(&demo, &code, &request).await;
}

#[tokio::test]
async fn s_03_c_10_prompt_asks_again_although_there_is_a_session() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    for (prompt, owed) in [("login", "email"), ("consent", "accept"), ("select_account", "email")] {
        let answer = guest.browser.visit(&client.request().with("prompt", prompt).url()).await.expect(200);
        let page = answer.page();
        assert!(page.has(owed) || page.has("switch-account") || page.has("password"), "{prompt}: {}", page.text);
        assert_eq!(page.url.origin().ascii_serialization(), demo.origin());
    }
    let request = client.request().with("prompt", "dance");
    let answer = guest.browser.open(&request.url()).await;
    assert_eq!(told(&client, &request, &answer), "invalid_request");
}

#[tokio::test]
async fn s_04_c_12_a_max_age_that_is_no_age_is_refused_and_one_that_is_has_auth_time() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    for age in ["-1", "1.5", "1e3", "abc", "0x10", "99999999999999999999999", "١", " 1"] {
        let request = client.request().with("max_age", age);
        let answer = guest.browser.open(&request.url()).await;
        assert_eq!(told(&client, &request, &answer), "invalid_request", "{age}");
    }
    let request = client.request().with("max_age", "10000");
    let code = client.code(&mut guest, &request).await;
    assert!(client.exchange(&demo, &code, &request).await.claims["auth_time"].is_i64());
    let answer = guest.browser.visit(&client.request().with("max_age", "0").url()).await.expect(200);
    assert!(!answer.url.as_str().starts_with(&client.redirect_uri), "max_age=0 is prompt=login");
}

/// S-08: the context that was asked for is never echoed; the answer says what was done.
#[tokio::test]
async fn s_08_acr_is_what_was_done_not_what_was_asked() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request().with("acr_values", "urn:x:mfa");
    let code = client.code(&mut guest, &request).await;
    let claims = client.exchange(&demo, &code, &request).await.claims;
    assert_ne!(claims["acr"], json!("urn:x:mfa"));
    assert_eq!(claims["acct"], 1, "a guest");
    assert_eq!(claims["tid"], *demo.tenant_id);
}

/// S-06: an ID token of ours says whom the client wants to hear about, and nobody else will do.
#[tokio::test]
async fn s_06_c_14_a_hint_names_the_person_or_is_refused() {
    let demo = Demo::start();
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request();
    let code = client.code(&mut guest, &request).await;
    let hint = client.exchange(&demo, &code, &request).await.id_token.expect("an ID token");
    let silent = |hint: &str| client.request().with("prompt", "none").with("id_token_hint", hint);
    let request = silent(&hint);
    let back = guest.browser.open(&request.url()).await.onward().expect("a redirect");
    client.code_in(&back, &request);
    // somebody else is signed in
    let mut other = Guest::new(&demo, demo.person(SignsInWith::OneTimePasscode));
    other.arrive(&demo.links.panel_by_id).await.expect(200);
    let request = silent(&hint);
    let answer = other.browser.open(&request.url()).await;
    assert!(["login_required", "interaction_required"].contains(&told(&client, &request, &answer).as_str()));
    // and what is no ID token of ours is no hint
    let (head, tail) = hint.rsplit_once('.').expect("a JWT");
    let unsigned = format!("{}.{}.", "eyJhbGciOiJub25lIn0", hint.split('.').nth(1).expect("claims"));
    for wrong in ["x", "a.b.c", &format!("{head}."), &format!("{head}.{}", tail.replace(&tail[..4], "AAAA")), &unsigned] {
        let request = silent(wrong);
        let answer = guest.browser.open(&request.url()).await;
        assert_eq!(told(&client, &request, &answer), "invalid_request", "{wrong}");
    }
}

/// S-05: `auth_time` is when the person proved who they are, however often codes are given for it since.
#[tokio::test]
async fn s_05_auth_time_is_the_persons_and_not_the_codes() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let mut times = Vec::new();
    for _ in 0..2 {
        let request = client.request();
        let code = client.code(&mut guest, &request).await;
        let claims = client.exchange(&demo, &code, &request).await.claims;
        times.push((claims["auth_time"].clone(), claims["sid"].clone()));
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    }
    assert_eq!(times[0], times[1]);
    let request = client.request().with("prompt", "login");
    let code = client.code(&mut guest, &request).await;
    let claims = client.exchange(&demo, &code, &request).await.claims;
    assert!(claims["auth_time"].as_i64() > times[0].0.as_i64(), "C-10: {claims}");
}

/// O-15: a passcode is said to be a passcode.
#[tokio::test]
async fn o_15_s_08_a_passcode_is_never_more_than_a_passcode() {
    let demo = Demo::start();
    let client = Client::of(&demo).await;
    let mut guest = Guest::new(&demo, demo.person(SignsInWith::OneTimePasscode));
    let request = client.request().with("acr_values", "urn:x:mfa");
    let code = client.code(&mut guest, &request).await;
    let claims = client.exchange(&demo, &code, &request).await.claims;
    assert_eq!(claims["amr"], json!(["otp"]), "{claims}");
    assert!(claims["acr"].as_str().is_some_and(|acr| !acr.contains("mfa")), "{claims}");
}
