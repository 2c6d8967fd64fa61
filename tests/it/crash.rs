//! The process dies at a named point of a first sign-in, starts again over the same data, and nothing that was acknowledged
//! is lost (I2) and nothing counts twice (I1).

use std::time::Duration;

use vestibule::crash::POINTS;

use crate::support::{
    client::{Client, Request},
    count,
    journey::Guest,
    ledger::Ledger,
    process::{DataFolder, Demo, SignsInWith, data_folder, spare_address},
    visitor::GONE,
};

/// What a person has seen before the crash.
#[derive(Debug)]
struct Seen {
    /// The code that the client was given.
    code: Option<String>,
    /// The client was given tokens.
    tokens: bool,
}

/// Goes as far as it goes.
async fn until_the_crash(guest: &mut Guest<'_>, client: &Client, request: &Request) -> Seen {
    let back = match guest.arrive_at(&request.url(), &client.redirect_uri).await {
        Ok(back) => back,
        Err(answer) => {
            assert_eq!(answer.status, GONE, "I3: neither through nor dead: {}\n{}", answer.url, answer.body);
            return Seen { code: None, tokens: false };
        }
    };
    let code = client.code_in(&back, request);
    let answer = client.token(&client.code_grant(&code, &request.verifier)).await;
    assert!(answer.status == GONE || answer.status == 200, "{}", answer.body);
    Seen { tokens: answer.status == 200, code: Some(code) }
}

/// Kills at `point`, restarts, and lets the same browser go on.
async fn dies_at(point: &str, signs_in_with: SignsInWith) {
    let (data, address) = (data_folder(), spare_address().to_string());
    let demo = Demo::start_on(&address, data.clone(), &[("VESTIBULE_CRASH_AT", point)]);
    let person = demo.person(signs_in_with);
    let client = Client::of(&demo).await.may_crash();
    let request = client.request();
    let mut guest = Guest::new(&demo, person.clone());
    guest.browser.may_crash = true;
    let seen = until_the_crash(&mut guest, &client, &request).await;
    assert!(demo.process().wait(Duration::from_secs(20)).is_some(), "{point}: it did not die; {seen:?}");
    let browser = guest.browser.clone().reconnected();
    drop(demo);

    let demo = Demo::start_on(&address, data.clone(), &[]);
    let client = Client::of(&demo).await;
    let mut guest = Guest { browser, ..Guest::new(&demo, person) };
    // The same click again, as somebody does whose page did not load.
    let again = guest.browser.last_post.clone().expect("something was pressed");
    let answer = guest.browser.act(again).await;
    let back = match guest.go_on(answer, &client.redirect_uri, None).await {
        Ok(back) => Some(back),
        // I3: a page that says what happened; and the link works.
        Err(answer) => {
            assert!(answer.code().is_some() || answer.page().has("sign-out"), "{point}: {}\n{}", answer.url, answer.body);
            // A passcode was used up with the answer: another is not sent within the minute.
            let proof_is_lost = signs_in_with == SignsInWith::OneTimePasscode && point == "passcode-verified";
            if proof_is_lost {
                None
            } else {
                Some(guest.arrive_at(&request.url(), &client.redirect_uri).await.expect("the link works"))
            }
        }
    };
    if seen.code.is_some() {
        assert!(!guest.pressed.contains(&"accept"), "I2: {point}: asked again for what was acknowledged: {:?}", guest.pressed);
    }
    if let Some(back) = back {
        let code = client.code_in(&back, &request);
        client.exchange(&demo, &code, &request).await;
    }
    // I1: the code from before gives tokens at most once, whichever side of the crash.
    if let Some(code) = &seen.code {
        let answer = client.token(&client.code_grant(code, &request.verifier)).await;
        assert!(answer.status == 400 || (answer.status == 200 && !seen.tokens), "{point}: {}", answer.body);
        client.token(&client.code_grant(code, &request.verifier)).await.expect(400);
    }
    drop(demo);
    let redeemed = effects(&data).await;
    assert!(redeemed <= 1, "I1: {point}: redeemed {redeemed} times");
    assert!(seen.code.is_none() || redeemed == 1, "I2: {point}: an acknowledged redemption is not recorded");
}

/// How many redemptions there were, by the audit log; terms are answered once each.
async fn effects(data: &DataFolder) -> usize {
    let ledger = Ledger::read(&data.path().join("vestibule.toml")).await;
    ledger.each_answered_once();
    ledger.redeemed().len()
}

#[tokio::test]
async fn f_01_f_02_f_03_f_04_w_03_a_guest_with_a_passcode_loses_nothing_at_any_point() {
    for _ in 0..count(1, 50) {
        for point in POINTS {
            dies_at(point, SignsInWith::OneTimePasscode).await;
        }
    }
}

/// The same through a home organisation: the points are passed there too, by its own sign-in and by our exchange of its code.
#[tokio::test]
async fn f_03_a_guest_of_a_home_organisation_loses_nothing_at_any_point() {
    for _ in 0..count(1, 50) {
        for point in POINTS.iter().filter(|point| !point.starts_with("passcode")) {
            dies_at(point, SignsInWith::HomeOrganisation).await;
        }
    }
}

/// F-20, F-21: asked to stop, the server ends by itself; started again, the guest is still signed in.
#[tokio::test]
async fn f_20_f_21_sessions_survive_a_restart() {
    let (data, address) = (data_folder(), spare_address().to_string());
    let demo = Demo::start_on(&address, data.clone(), &[]);
    let guest = Guest::signed_in(&demo).await;
    let browser = guest.browser.clone();
    demo.process().signal("INT");
    let ended = demo.process().wait(Duration::from_secs(40)).expect("it ends by itself");
    assert!(ended.success(), "{ended}");
    drop(demo);
    let demo = Demo::start_on(&address, data, &[]);
    let mut guest = Guest { browser: browser.reconnected(), ..Guest::new(&demo, demo.person(SignsInWith::HomeOrganisation)) };
    let panel = guest.arrive(&demo.links.panel_by_id).await.expect(200);
    assert!(panel.page().has("sign-out") && guest.pressed.is_empty(), "{:?}", guest.pressed);
}

/// G-07: a refresh token that was rotated away stays dead when the server was killed in between.
#[tokio::test]
async fn g_07_a_rotated_refresh_token_stays_dead_after_a_kill() {
    let (data, address) = (data_folder(), spare_address().to_string());
    let demo = Demo::start_on(&address, data.clone(), &[]);
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request().with("scope", "openid offline_access").with("prompt", "consent");
    let code = client.code(&mut guest, &request).await;
    let first = client.exchange(&demo, &code, &request).await.refresh_token.expect("a refresh token");
    let refresh = |token: &str| vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token.to_owned())];
    let mut current = first.clone();
    for _ in 0..2 {
        let body = client.token(&refresh(&current)).await.expect(200).json();
        current = body["refresh_token"].as_str().expect("a successor").to_owned();
    }
    demo.process().kill();
    drop(demo);
    let demo = Demo::start_on(&address, data, &[]);
    let client = Client::of(&demo).await;
    assert_eq!(client.token(&refresh(&first)).await.expect(400).json()["error"], "invalid_grant");
    assert_eq!(client.token(&refresh(&current)).await.expect(400).json()["error"], "invalid_grant", "the whole family");
}
