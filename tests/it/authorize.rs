//! The authorization endpoint: what is answered to a request, and who is told what is wrong with it.

use reqwest::{Method, header::ORIGIN};
use url::Url;

mod person;

use crate::support::{
    client::{Client, Request, parameter},
    journey::{Guest, shared_demo},
    process::SignsInWith,
    random,
    visitor::{Answer, Visitor},
};

/// The error that the client is told, checked for what belongs to every error (S-13, S-26).
#[track_caller]
fn told(client: &Client, request: &Request, answer: &Answer) -> String {
    let back = answer.onward().unwrap_or_else(|| panic!("not sent back: {}\n{}", answer.url, answer.body));
    assert!(back.as_str().starts_with(&client.redirect_uri), "{back}");
    assert_eq!(parameter(&back, "code"), None, "{back}");
    assert_eq!(parameter(&back, "iss"), Some(client.issuer.clone()), "S-26: {back}");
    let state = request.parameters.iter().find(|(name, _)| name == "state").map(|(_, value)| value.clone());
    assert_eq!(parameter(&back, "state"), state, "S-13: {back}");
    parameter(&back, "error").unwrap_or_else(|| panic!("no error: {back}"))
}

/// Where a refusal is shown on a page instead.
#[track_caller]
fn shown(answer: Answer, status: u16, code: &str) {
    assert_eq!(answer.onward(), None, "S-24: {:?}", answer.headers);
    answer.refused(status, code);
}

#[tokio::test]
async fn s_07_s_09_c_09_c_13_c_15_c_16_c_17_c_21_hints_and_unknown_parameters_change_nothing_and_are_escaped() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let evil = r#""><script>alert(1)</script>"#;
    for (name, value) in [
        ("login_hint", evil),
        ("login_hint", "sam@fabrikam.example"),
        ("ui_locales", evil),
        ("ui_locales", "de fr en"),
        ("claims_locales", "xx-yy-zz"),
        ("display", "popup"),
        ("display", evil),
        ("acr_values", "urn:x:mfa"),
        ("claims", r#"{"userinfo":{"name":{"essential":true}}}"#),
        ("extra", "foobar"),
        ("id_token_hint_", &"x".repeat(4000)),
    ] {
        let answer = Visitor::new(&demo).visit(&client.request().with(name, value).url()).await.expect(200);
        assert!(answer.page().has("email"), "{name}: {}", answer.body);
        assert!(!answer.body.contains("<script>alert"), "{name}");
    }
}

#[tokio::test]
async fn s_10_a_parameter_that_appears_twice_is_refused() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    for (name, _) in &client.request().parameters {
        for value in ["", "second", "openid"] {
            let request = client.request().repeated(name, value);
            let answer = guest.browser.open(&request.url()).await;
            match name.as_str() {
                "client_id" | "redirect_uri" => shown(answer, 400, "VB5003"),
                // a state that is there twice cannot be returned
                "state" => {
                    let back = answer.onward().expect("a redirect");
                    assert_eq!(parameter(&back, "error").as_deref(), Some("invalid_request"), "{back}");
                    assert_eq!(parameter(&back, "state"), None);
                }
                _ => assert_eq!(told(&client, &request, &answer), "invalid_request", "{name}"),
            }
        }
    }
}

#[tokio::test]
async fn s_12_a_nonce_comes_back_exactly_up_to_the_limit() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    for nonce in ["n".to_owned(), "n".repeat(43), "n".repeat(64), "n".repeat(384), "n".repeat(512), "ünï-\"+%&💂".to_owned()]
    {
        let mut request = client.request().with("nonce", &nonce);
        request.nonce = nonce;
        let code = client.code(&mut guest, &request).await;
        client.exchange(&demo, &code, &request).await;
    }
    let request = client.request().with("nonce", &"n".repeat(513));
    let answer = guest.browser.open(&request.url()).await;
    assert_eq!(told(&client, &request, &answer), "invalid_request");
}

#[tokio::test]
async fn s_13_a_state_comes_back_byte_for_byte() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    for state in ["%41+%20", "a b+c", r#""'<>&;=?#/\"#, "💂‍♀️ü", "\u{1}\t", &"s".repeat(4096)] {
        let mut request = client.request().with("state", state);
        state.clone_into(&mut request.state);
        client.code(&mut guest, &request).await;
    }
    let request = client.request().with("state", &"s".repeat(4097));
    let answer = guest.browser.open(&request.url()).await;
    assert_eq!(parameter(&answer.onward().expect("a redirect"), "error").as_deref(), Some("invalid_request"));
}

/// Decision 8: a legal request with a large state fits into the cookies of a visitor who has yet to sign in.
#[tokio::test]
async fn s_13_a_state_of_four_kibibytes_survives_the_whole_sign_in() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::new(&demo, demo.person(SignsInWith::HomeOrganisation));
    let mut request = client.request();
    request.state = std::iter::repeat_with(random).take(96).collect::<String>();
    request.state.truncate(4096);
    let state = request.state.clone();
    let request = request.with("state", &state);
    let code = client.code(&mut guest, &request).await;
    client.exchange(&demo, &code, &request).await;
}

#[tokio::test]
async fn s_24_an_unknown_client_or_redirect_uri_is_told_on_a_page() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let elsewhere = "https://evil.example/callback";
    for id in ["", "nobody", "00000000-0000-4000-8000-000000000000", &format!("{} ", client.id)] {
        for prompt in ["login", "none"] {
            let request = client.request().with("client_id", id).with("prompt", prompt);
            shown(guest.browser.open(&request.url()).await, 404, "VB1006");
        }
    }
    shown(guest.browser.open(&client.request().without("client_id").url()).await, 404, "VB1006");
    for request in [client.request().with("redirect_uri", elsewhere), client.request().without("redirect_uri")] {
        shown(guest.browser.open(&request.url()).await, 400, "VB5001");
    }
}

/// R-03: whatever else is wrong with a request, its error never reaches an address that is not registered.
#[tokio::test]
async fn r_03_no_error_is_redirected_to_an_unregistered_uri() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = || client.request().with("redirect_uri", "https://evil.example/callback");
    for faulty in [
        request().with("prompt", "none"),
        request().with("prompt", "none login"),
        request().with("response_type", "token"),
        request().without("response_type"),
        request().with("scope", "\""),
        request().without("code_challenge"),
        request().with("code_challenge_method", "plain"),
        request().with("max_age", "-1"),
        request().with("request", "e30.e30."),
        request().with("request_uri", "https://evil.example/request"),
        request().with("response_mode", "form_post"),
        request().repeated("state", "x"),
        request().repeated("scope", "x"),
    ] {
        for browser in [&mut guest.browser, &mut Visitor::new(&demo)] {
            let answer = browser.open(&faulty.url()).await;
            assert!(!answer.body.contains("evil.example/callback\""), "{}", answer.body);
            shown(answer, 400, "VB5001");
        }
    }
}

#[tokio::test]
async fn s_25_a_stranger_sees_our_page_before_the_client_is_told_of_an_error() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    for faulty in [
        client.request().with("scope", "a\"b"),
        client.request().without("code_challenge"),
        client.request().with("max_age", "-1"),
        client.request().with("response_type", "token"),
    ] {
        let answer = Visitor::new(&demo).visit(&faulty.url()).await;
        assert_eq!(answer.url.origin().ascii_serialization(), demo.origin(), "an open redirector");
    }
}

#[tokio::test]
async fn s_22_s_32_s_44_c_02_c_20_what_is_not_offered_is_told_to_the_client_in_plain_characters() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    for (request, error) in [
        (client.request().with("response_type", "token"), "unsupported_response_type"),
        (client.request().with("response_type", "code id_token"), "unsupported_response_type"),
        (client.request().with("response_type", "co\r\nde\t<"), "unsupported_response_type"),
        (client.request().without("response_type"), "invalid_request"),
        (client.request().with("response_mode", "fragment"), "invalid_request"),
        (client.request().with("scope", "a\"b"), "invalid_scope"),
        (client.request().with("claims", "{not json"), "invalid_request"),
        (client.request().with("claims", &"[".repeat(1000)), "invalid_request"),
        (client.request().with("request", "e30.e30."), "request_not_supported"),
        (client.request().with("request_uri", "https://x.example/"), "request_uri_not_supported"),
        (client.request().without("code_challenge"), "invalid_request"),
        (client.request().with("code_challenge", ""), "invalid_request"),
        (client.request().with("code_challenge", "short"), "invalid_request"),
        (client.request().with("code_challenge_method", "plain"), "invalid_request"),
        (client.request().without("code_challenge_method"), "invalid_request"),
        (client.request().with("code_challenge_method", "s256"), "invalid_request"),
    ] {
        let answer = guest.browser.open(&request.url()).await;
        assert_eq!(told(&client, &request, &answer), error, "{:?}", request.parameters);
        let back = answer.onward().expect("a redirect");
        let allowed = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        assert!(parameter(&back, "error_description").unwrap_or_default().chars().all(allowed), "S-44: {back}");
    }
}

/// C-18: a form of another site may start a sign-in; its POST carries no cookie, so a same-site GET comes first.
#[tokio::test]
async fn c_18_a_sign_in_can_be_started_by_post() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request();
    let endpoint = client.endpoint("authorization_endpoint");
    let post = client.http().request(Method::POST, &endpoint).header(ORIGIN, "https://app.example").header("accept", "text/html");
    let post = post.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate").form(&request.parameters);
    let answer = client.http().receive(post).await;
    guest.browser.jar.store(&endpoint, &answer.headers);
    let back = guest.go_on(answer, &client.redirect_uri, None).await.expect("back at the client");
    let code = client.code_in(&back, &request);
    client.exchange(&demo, &code, &request).await;
}

/// C-22: the answer may come as a form that posts itself.
#[tokio::test]
async fn c_22_form_post_answers_with_a_form_that_works_without_scripts() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let state = r#""><b>'&amp;"#;
    let request = client.request().with("response_mode", "form_post").with("state", state);
    let answer = guest.browser.open(&request.url()).await.expect(200);
    let page = answer.page();
    let crate::support::page::Action::Post(target, fields) = page.press("continue", &[]) else { panic!("not a POST") };
    assert_eq!(target.as_str(), client.redirect_uri);
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    assert_eq!((field("state"), field("iss")), (Some(state), Some(client.issuer.as_str())));
    assert!(field("code").is_some());
    let policy = answer.header("content-security-policy");
    let origin = Url::parse(&client.redirect_uri).expect("a URL").origin().ascii_serialization();
    assert!(policy.contains(&origin), "form-action names the client alone: {policy}");
}

#[tokio::test]
async fn s_01_without_openid_there_is_no_id_token() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request().with("scope", "profile email").without("nonce");
    let back = guest.arrive_at(&request.url(), &client.redirect_uri).await.expect("back at the client");
    match parameter(&back, "error") {
        Some(error) => assert_eq!(error, "invalid_scope"),
        None => {
            let code = client.code_in(&back, &request);
            let answer = client.token(&client.code_grant(&code, &request.verifier)).await.expect(200);
            assert_eq!(answer.json().get("id_token"), None);
        }
    }
}

#[tokio::test]
async fn c_08_the_order_of_parameters_and_scopes_does_not_matter() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let mut request = client.request().with("scope", "email profile openid");
    request.parameters.reverse();
    let code = client.code(&mut guest, &request).await;
    client.exchange(&demo, &code, &request).await;
}
