//! Signing in, coming back, being turned away, signing out.

use http::{StatusCode, header::WWW_AUTHENTICATE};

use super::{
    provider::{Forge, SESSION, USER, at},
    *,
};
use crate::{clock::Clock, error::Code, live::LiveEvent};

const NAVIGATE: [(&str, &str); 2] = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];

#[tokio::test]
async fn a_person_is_led_to_sign_in_and_back_to_the_very_url() {
    let (door, mut browser) = (Door::new(), Browser::default());
    let back = door.sign_in(&mut browser, "/reports/7?year=2026&q=%C3%B6").await;
    assert_eq!(back.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(&back), "https://app.example/reports/7?year=2026&q=%C3%B6");
    let page = door.open(&mut browser, location(&back)).await;
    assert_eq!(page.body(), "Ann Lee at /reports/7?year=2026&q=%C3%B6 with []");
}

/// People ask for this most: what-people-ask-for 16.
#[tokio::test]
async fn many_tabs_sign_in_at_once_and_each_finds_its_page() {
    let (door, mut browser) = (Door::new(), Browser::default());
    let mut tabs = Vec::new();
    for tab in 0..20 {
        let response = door.open(&mut browser, &format!("/tab/{tab}")).await;
        tabs.push((tab, door.provider.authorize(location(&response))));
    }
    for (tab, query) in tabs.iter().rev() {
        let back = door.open(&mut browser, &format!("/.vestibule/callback?{query}")).await;
        assert_eq!(location(&back), format!("https://app.example/tab/{tab}"));
    }
    // A page loaded twice: its code is gone, but the guest is in.
    let again = door.open(&mut browser, &format!("/.vestibule/callback?{}", tabs[3].1)).await;
    assert_eq!(location(&again), "https://app.example/tab/3");
}

/// B-03, R-05: what was begun in one browser does not finish in another.
#[tokio::test]
async fn b_03_a_sign_in_finishes_only_where_it_began() {
    let (door, mut mine, mut theirs) = (Door::new(), Browser::default(), Browser::default());
    let response = door.open(&mut theirs, "/").await;
    let query = door.provider.authorize(location(&response));
    door.open(&mut mine, "/").await;
    let refused = door.open(&mut mine, &format!("/.vestibule/callback?{query}")).await;
    assert_eq!((refused.status(), code(&refused)), (StatusCode::BAD_REQUEST, Code::JourneyLost));
    assert!(mine.cookie("__Host-vb-app-").is_none());
    assert_eq!(door.open(&mut theirs, &format!("/.vestibule/callback?{query}")).await.status(), StatusCode::SEE_OTHER);
}

/// J-06: an answer that names another provider, or none, trades no code.
#[tokio::test]
async fn j_06_the_answer_has_to_name_its_issuer() {
    let (door, mut browser) = (Door::new(), Browser::default());
    let response = door.open(&mut browser, "/").await;
    let query = door.provider.authorize(location(&response));
    let issuer =
        format!("iss={}", url::form_urlencoded::byte_serialize(door.provider.issuer.as_str().as_bytes()).collect::<String>());
    assert!(query.contains(&issuer));
    for forged in [query.replace(&issuer, "iss=https%3A%2F%2Fevil.example"), query.replace(&issuer, "")] {
        let refused = door.open(&mut browser, &format!("/.vestibule/callback?{forged}")).await;
        assert_eq!(code(&refused), Code::JourneyLost);
    }
    let repeated = format!("/.vestibule/callback?{query}&code=x");
    assert_eq!(code(&door.open(&mut browser, &repeated).await), Code::ParameterRepeated);
    assert_eq!(door.open(&mut browser, &format!("/.vestibule/callback?{query}")).await.status(), StatusCode::SEE_OTHER);
}

/// J-05, S-54: an ID token that is not the answer to this very sign-in begins no session.
#[tokio::test]
async fn j_05_only_the_id_token_of_this_sign_in_counts() {
    let id_token = |provider: &TestProvider, nonce| provider.tokens(provider.ann(0, nonce)).id_token.unwrap();
    let forgeries: [Forge; 7] = [
        Box::new(move |provider, nonce| id_token(provider, Some(format!("{nonce}x")))),
        Box::new(move |provider, _| id_token(provider, Some(String::new()))),
        Box::new(move |provider, _| id_token(provider, None)),
        Box::new(|provider, nonce| provider.tokens(provider.ann(0, Some(nonce))).access_token),
        Box::new(move |_, nonce| id_token(&TestProvider::new(), Some(nonce))),
        Box::new(move |_, nonce| id_token(&TestProvider::at("https://other.example"), Some(nonce))),
        Box::new(move |provider, nonce| {
            let token = id_token(provider, Some(nonce));
            provider.clock.advance(600);
            provider.live.heard(provider.clock.now());
            token
        }),
    ];
    for (index, forge) in forgeries.into_iter().enumerate() {
        let (door, mut browser) = (Door::new(), Browser::default());
        *door.provider.forge.lock().unwrap() = Some(forge);
        let response = door.open(&mut browser, "/").await;
        let query = door.provider.authorize(location(&response));
        let refused = door.open(&mut browser, &format!("/.vestibule/callback?{query}")).await;
        assert_eq!((refused.status(), code(&refused)), (StatusCode::BAD_REQUEST, Code::GrantInvalid), "{index}");
        assert!(browser.cookie("__Host-vb-app-").is_none(), "{index}");
    }
}

/// A code of one tab is worth nothing with the state of another.
#[tokio::test]
async fn codes_and_states_belong_together() {
    let (door, mut browser) = (Door::new(), Browser::default());
    let first = door.open(&mut browser, "/1").await;
    let second = door.open(&mut browser, "/2").await;
    let (first, second) = (door.provider.authorize(location(&first)), door.provider.authorize(location(&second)));
    let code_of = |query: &str| query.split('&').next().unwrap().to_owned();
    let mixed = second.replace(&code_of(&second), &code_of(&first));
    assert_eq!(code(&door.open(&mut browser, &format!("/.vestibule/callback?{mixed}")).await), Code::GrantInvalid);
}

#[tokio::test]
async fn a_refusal_of_the_provider_is_told_with_its_own_code() {
    let (door, mut browser) = (Door::new(), Browser::default());
    let response = door.open(&mut browser, "/").await;
    let query = door.provider.authorize(location(&response));
    let rest = &query[query.find("&state").unwrap()..];
    for (error, expected) in [
        ("error=access_denied&error_description=VB4004%3A+You+declined", Code::TermsDeclined),
        ("error=access_denied", Code::Cancelled),
        ("error=server_error&error_description=VB99999", Code::Internal),
    ] {
        let refused = door.open(&mut browser, &format!("/.vestibule/callback?{error}{rest}")).await;
        assert_eq!(code(&refused), expected);
        assert!(refused.body().contains(expected.sentence()), "{}", refused.body());
    }
}

#[tokio::test]
async fn a_program_is_told_and_a_form_is_not_repeated() {
    let door = Door::new();
    let fetch = Request::get("/data").header("sec-fetch-mode", "cors").header("accept", "text/html").body(()).unwrap();
    let told = door.send(fetch).await;
    assert_eq!((told.status(), code(&told)), (StatusCode::UNAUTHORIZED, Code::LoginRequired));
    let challenge = told.headers()[WWW_AUTHENTICATE].to_str().unwrap();
    assert!(challenge.starts_with("Bearer realm=\"https://app.example\", authorization_uri=\"https://vestibule.example/"));
    assert!(!challenge.contains("error"), "RFC 6750 section 3.1: {challenge}");
    let problem: serde_json::Value = serde_json::from_str(told.body()).unwrap();
    assert_eq!((&problem["code"], &problem["error"]), (&"VB5012".into(), &"login_required".into()));
    assert_eq!(problem["sign_in"], "https://app.example/.vestibule/sign-in");
    assert!(told.headers()["content-type"] == "application/problem+json" && told.headers()["cache-control"] == "no-store");

    let form = door.send(Browser::default().request("POST", "/expenses")).await;
    assert_eq!((form.status(), code(&form)), (StatusCode::UNAUTHORIZED, Code::LoginRequired));
    assert!(form.body().contains(r#"href="https://app.example/""#), "{}", form.body());
    let head = door.send(Browser::default().request("HEAD", "/x")).await;
    assert_eq!(head.status(), StatusCode::SEE_OTHER);
}

/// L-18: terms that begin to be owed stop a session at the next request; a person is led through and back.
#[tokio::test]
async fn l_18_new_terms_stop_a_session_until_they_are_settled() {
    let (door, mut browser) = (Door::new(), Browser::default());
    door.sign_in(&mut browser, "/").await;
    door.provider.happens(LiveEvent::TermsEpoch { everywhere: 1, apps: Default::default() });
    let mut program = browser.request("GET", "/data");
    program.headers_mut().insert("sec-fetch-mode", "cors".parse().unwrap());
    let told = door.send(program).await;
    assert_eq!((told.status(), code(&told)), (StatusCode::FORBIDDEN, Code::TermsOwed));
    assert!(told.body().contains(r#""error":"interaction_required""#), "{}", told.body());
    let back = door.sign_in(&mut browser, "/page").await;
    assert_eq!(location(&back), "https://app.example/page");
    assert_eq!(door.open(&mut browser, "/page").await.body(), "Ann Lee at /page with []");
}

/// G-14, F-27: a block, a sign-out, a cut-off and silence stop a session at the next request.
#[tokio::test]
async fn g_14_what_is_known_stops_a_session_at_once() {
    let (door, mut browser) = (Door::new(), Browser::default());
    door.sign_in(&mut browser, "/").await;
    assert_eq!(door.open(&mut browser, "/").await.status(), StatusCode::OK);
    let cutoff = |blocked, from| LiveEvent::UserCutoff { user: USER, sessions_valid_from: at(from), blocked, forget: None };
    door.provider.happens(cutoff(true, 0));
    let blocked = door.open(&mut browser, "/").await;
    assert_eq!((blocked.status(), code(&blocked)), (StatusCode::FORBIDDEN, Code::AccountBlocked));
    door.provider.happens(cutoff(false, 0));
    assert_eq!(door.open(&mut browser, "/").await.status(), StatusCode::OK);
    door.provider.clock.advance(6);
    let silent = door.open(&mut browser, "/").await;
    assert_eq!((silent.status(), code(&silent)), (StatusCode::SERVICE_UNAVAILABLE, Code::LiveStale));
    assert_eq!(silent.headers()["retry-after"], "5");
    door.provider.live.heard(door.provider.clock.now());
    door.provider.happens(LiveEvent::SessionEnded { session: SESSION, forget: at(9_999_999) });
    assert_eq!(code(&door.open(&mut browser, "/").await), Code::LoginRequired);
}

#[tokio::test]
async fn a_session_ends_with_the_providers() {
    let (door, mut browser) = (Door::new(), Browser::default());
    door.sign_in(&mut browser, "/").await;
    for (advance, status) in [(8 * 3600 - 1, StatusCode::OK), (1, StatusCode::SEE_OTHER)] {
        door.provider.clock.advance(advance);
        door.provider.live.heard(door.provider.clock.now());
        assert_eq!(door.open(&mut browser, "/").await.status(), status);
    }
}

/// P-12, B-01: nothing that a client sends says who it is, and the app sees none of our cookies.
#[tokio::test]
async fn p_12_the_app_sees_only_its_own_cookies() {
    let (door, mut browser) = (Door::new(), Browser::default());
    door.sign_in(&mut browser, "/").await;
    browser.cookies.insert(0, ("theme".into(), "dark".into()));
    browser.cookies.push(("__Host-vb-s-other".into(), "x".into()));
    assert_eq!(door.open(&mut browser, "/").await.body(), "Ann Lee at / with [theme=dark]");
    for header in
        ["x-guest", "x-guest-id", "x-forwarded-user", "x-vestibule-checked", "x-middleware-subrequest", "x-original-url"]
    {
        let mut request = Browser::default().request("GET", "/");
        request.headers_mut().insert(header, "ann".parse().unwrap());
        assert_eq!(door.send(request).await.status(), StatusCode::SEE_OTHER, "{header}");
    }
}

/// B-02: a second cookie of our name counts as none, and is cleared.
#[tokio::test]
async fn b_02_a_planted_second_session_is_cleared() {
    let (door, mut browser) = (Door::new(), Browser::default());
    door.sign_in(&mut browser, "/").await;
    let planted = browser.cookies.last().cloned().unwrap();
    assert!(planted.0.starts_with("__Host-vb-app-"));
    browser.cookies.push((planted.0, "planted".into()));
    let response = door.send(browser.request("GET", "/")).await;
    let cleared = |name: &str| {
        response.headers().get_all("set-cookie").iter().any(|set| {
            let set = set.to_str().unwrap();
            set.starts_with(name) && set.contains("Max-Age=0")
        })
    };
    assert!(response.status() == StatusCode::SEE_OTHER && cleared("__Host-vb-app-"));
}

/// R-02: the corpus of return addresses, where a client can name one.
#[tokio::test]
async fn r_02_no_named_return_address_leads_elsewhere() {
    let (door, mut browser) = (Door::new(), Browser::default());
    door.sign_in(&mut browser, "/").await;
    let named = |target: &str| {
        format!("/.vestibule/sign-in?return_to={}", url::form_urlencoded::byte_serialize(target.as_bytes()).collect::<String>())
    };
    for target in
        ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/\t/evil.example", "@evil.example"]
    {
        assert_eq!(location(&door.open(&mut browser, &named(target)).await), "https://app.example/", "{target}");
    }
    assert_eq!(location(&door.open(&mut browser, &named("/a?b=c")).await), "https://app.example/a?b=c");
    let back = door.sign_in(&mut Browser::default(), "//evil.example/x").await;
    assert_eq!(location(&back), "https://app.example/");
    let long = format!("/{}", "a".repeat(3_000));
    let refused = door.open(&mut Browser::default(), &long).await;
    assert_eq!((refused.status(), code(&refused)), (StatusCode::URI_TOO_LONG, Code::ReturnTooLong));
}

/// S-63: only a page of the app signs out; by GET nothing happens.
#[tokio::test]
async fn s_63_signing_out_takes_a_post_from_the_apps_own_page() {
    let (door, mut browser) = (Door::new(), Browser::default());
    door.sign_in(&mut browser, "/").await;
    let page = door.open(&mut browser, "/.vestibule/sign-out").await;
    assert!(page.status() == StatusCode::OK && page.body().contains("method=\"post\""));
    assert!(browser.cookie("__Host-vb-app-").is_some());
    let post = |pairs: &[(&'static str, &'static str)]| {
        let mut request = browser.request("POST", "/.vestibule/sign-out");
        for (name, value) in pairs.iter().chain(&NAVIGATE) {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        request
    };
    for pairs in [
        &[("sec-fetch-site", "cross-site"), ("origin", "https://app.example")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[],
    ] {
        let refused = door.send(post(pairs)).await;
        assert_eq!((refused.status(), code(&refused)), (StatusCode::FORBIDDEN, Code::CrossSite), "{pairs:?}");
        assert!(!refused.headers().contains_key("set-cookie"));
    }
    let out = door.send(post(&[("origin", "https://app.example")])).await;
    let refresh = out.headers()["refresh"].to_str().unwrap();
    assert!(refresh.contains("/oauth2/v2.0/logout?client_id=") && refresh.contains("signed-out"), "{refresh}");
    browser.keep(out.headers());
    assert!(browser.cookie("__Host-vb-app-").is_none());
    assert!(door.open(&mut browser, "/.vestibule/signed-out").await.body().contains("You are signed out"));

    door.provider.reachable.store(false, std::sync::atomic::Ordering::SeqCst);
    let mut half = browser.request("POST", "/.vestibule/sign-out");
    half.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
    assert_eq!(code(&door.send(half).await), Code::LiveStale, "G-15: half a sign-out is not called one");
}

#[tokio::test]
async fn the_layers_own_paths_never_reach_the_app() {
    let (door, mut browser) = (Door::new(), Browser::default());
    door.sign_in(&mut browser, "/").await;
    for (method, path, expected) in [
        ("GET", "/.vestibule/nothing", Code::PathUnknown),
        ("POST", "/.vestibule/callback", Code::MethodRefused),
        ("HEAD", "/.vestibule/callback", Code::MethodRefused),
        ("DELETE", "/.vestibule/sign-out", Code::MethodRefused),
    ] {
        assert_eq!(code(&door.send(browser.request(method, path)).await), expected, "{method} {path}");
    }
    // Another spelling is another path, and has to pass the door.
    assert_eq!(door.open(&mut Browser::default(), "/.vestibule%2Fcallback").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(door.open(&mut browser, "/.Vestibule/callback").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_stricter_door_asks_for_a_recent_proof() {
    let mut door = Door::new();
    door.layer = door.layer.max_age(jiff::SignedDuration::from_secs(60));
    let mut browser = Browser::default();
    door.sign_in(&mut browser, "/").await;
    assert_eq!(door.open(&mut browser, "/").await.status(), StatusCode::OK);
    door.provider.clock.advance(61);
    door.provider.live.heard(door.provider.clock.now());
    let again = door.open(&mut browser, "/").await;
    assert!(location(&again).contains("&max_age=60"), "{}", location(&again));
}

/// S-60: every page of the layer is closed to scripts and frames.
#[tokio::test]
async fn s_60_pages_run_nothing_and_are_framed_by_nobody() {
    let door = Door::new();
    for path in ["/.vestibule/sign-out", "/.vestibule/signed-out", "/.vestibule/callback", "/.vestibule/x"] {
        let page = door.send(Browser::default().request("GET", path)).await;
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(policy.contains(part), "{path} {policy}");
        }
        assert!(page.headers()["x-content-type-options"] == "nosniff" && page.headers()["cache-control"] == "no-store");
    }
}
