use proptest::prelude::*;

use super::*;
use crate::oidc::{fixture::*, token::mint};

fn hint(keys: &crate::oidc::KeySet) -> String {
    mint(grantee("openid"), &app(), keys, &ring(), now(), &entropy()).unwrap().id_token.unwrap()
}

fn decide(parameters: &[(&str, &str)], session: Option<SessionId>) -> LogoutDecision {
    let request = LogoutRequest::parse(query(parameters).as_bytes(), keys().public(), after(86_000)).unwrap();
    let app = app();
    request.decide(request.app().filter(|id| *id == app.id).map(|_| &app), session)
}

const BYE: (&str, &str) = ("post_logout_redirect_uri", "https://app.example/bye");

#[test]
fn an_id_token_of_the_present_session_signs_out_and_goes_back() {
    let hint = hint(keys());
    let session = sign_in().session;
    let then = |uri: Option<&str>| LogoutDecision::SignOut { session, then: uri.map(str::to_owned) };
    let hint = ("id_token_hint", hint.as_str());
    assert_eq!(decide(&[hint, BYE, ("state", "a b&c")], Some(session)), then(Some("https://app.example/bye?state=a%20b%26c")));
    assert_eq!(decide(&[hint, BYE], None), then(Some("https://app.example/bye")), "no state, none returned");
    assert_eq!(decide(&[hint, ("client_id", APP)], Some(session)), then(None));
    assert_eq!(
        decide(&[hint, ("post_logout_redirect_uri", "https://app.example/bye?x=1"), ("state", "s")], None),
        then(Some("https://app.example/bye?x=1&state=s"))
    );
    let other = SessionId::random(&entropy());
    assert_eq!(decide(&[hint], Some(other)), LogoutDecision::Confirm { then: None }, "somebody else is signed in");
}

/// `…-bad-post-logout-redirect-uri`, `…-query-added-…`: no redirect, a page.
#[test]
fn an_unregistered_address_is_never_gone_to() {
    let hint = hint(keys());
    for bad in [
        "https://app.example/bye/",
        "https://app.example/bye?foo=bar",
        "https://evil.example/",
        "https://app.example/cb",
        "javascript:alert(1)",
    ] {
        let uri = ("post_logout_redirect_uri", bad);
        for client in [("id_token_hint", hint.as_str()), ("client_id", APP)] {
            assert_eq!(decide(&[client, uri], None), LogoutDecision::Refuse(Code::PostLogoutUriUnknown), "{bad}");
        }
        assert_eq!(decide(&[uri], None), LogoutDecision::Confirm { then: None }, "{bad}");
    }
}

/// `…-modified-id-token-hint`, `…-bad-id-token-hint`, `…-no-id-token-hint`, `…-no-params`, `…-only-state`.
#[test]
fn nothing_but_our_own_hint_signs_out_unasked() {
    let foreign = hint(other_keys());
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", hint(keys()).split('.').nth(1).unwrap());
    let access = mint(grantee("openid"), &app(), keys(), &ring(), now(), &entropy()).unwrap().access_token;
    let ask = LogoutDecision::Confirm { then: None };
    for bad in [foreign.as_str(), &unsigned, &access, "x"] {
        assert_eq!(decide(&[("id_token_hint", bad), BYE, ("client_id", APP)], Some(sign_in().session)), ask, "{bad}");
    }
    assert_eq!(decide(&[BYE], None), ask);
    assert_eq!(decide(&[], Some(sign_in().session)), ask);
    assert_eq!(decide(&[("state", "s")], None), ask);
    let named = decide(&[("client_id", APP), BYE, ("state", "s")], None);
    assert_eq!(named, LogoutDecision::Confirm { then: Some("https://app.example/bye?state=s".into()) });
}

#[test]
fn a_hint_and_a_client_id_have_to_agree() {
    let hint = hint(keys());
    let other = "00000000-0000-4000-8000-0000000000a2";
    assert_eq!(
        decide(&[("id_token_hint", &hint), ("client_id", other), BYE], None),
        LogoutDecision::Refuse(Code::RequestInvalid)
    );
}

proptest! {
    #[test]
    fn no_logout_request_panics(bytes: Vec<u8>, value in "\\PC*", name in 0usize..4) {
        let _ = LogoutRequest::parse(&bytes, keys().public(), now());
        let query = query(&[(KNOWN[name].0, &value)]);
        if let Ok(request) = LogoutRequest::parse(query.as_bytes(), keys().public(), now()) {
            let asked = matches!(request.decide(Some(&app()), None), LogoutDecision::Confirm { .. } | LogoutDecision::Refuse(_));
            prop_assert!(asked);
        }
    }
}
