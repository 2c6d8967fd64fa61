use super::*;
use crate::{
    domain::{AppId, SessionId},
    oidc::{fixture::*, grant::TokenRequest},
    secret::Secret,
};

fn grant(challenge: bool) -> CodeGrant {
    let query = if challenge { query(GOOD) } else { query(&GOOD[..6]) };
    CodeGrant::issue(&authorize(&query, &exempt_app()).unwrap(), contoso(), sign_in(), now(), &entropy())
}

fn exchange(redirect_uri: Option<&str>, verifier: Option<&str>) -> CodeExchange {
    CodeExchange { code: Secret::new("c"), redirect_uri: redirect_uri.map(str::to_owned), verifier: verifier.map(Secret::new) }
}

/// S-11, G-09: policy × challenge × verifier.
#[test]
fn s_11_g_09_pkce_matrix() {
    let refused = Err(GrantRefusal::Verifier);
    let wrong = "x".repeat(43);
    for (policy, app) in [("public", public_app()), ("required", app()), ("exempt", exempt_app())] {
        for (challenge, verifier, expected) in [
            (true, Some(VERIFIER), Ok(())),
            (true, Some(wrong.as_str()), refused),
            (true, None, refused),
            (true, Some(""), refused),
            (true, Some(CHALLENGE), refused),
            (true, Some(&VERIFIER[1..]), refused),
            (false, Some(VERIFIER), refused),
            (false, None, if policy == "exempt" { Ok(()) } else { refused }),
        ] {
            let verdict = check_code(&grant(challenge), &exchange(Some(CALLBACK), verifier), &client(&app), contoso(), now());
            assert_eq!(verdict, expected, "{policy} {challenge} {verifier:?}");
        }
    }
}

/// S-29: each binding, changed alone.
#[test]
fn s_29_a_code_is_bound_to_all_that_it_was_issued_for() {
    let app = app();
    let good = exchange(Some(CALLBACK), Some(VERIFIER));
    let check =
        |grant: &CodeGrant, exchange: &CodeExchange, tenant, at| check_code(grant, exchange, &client(&app), tenant, after(at));
    assert_eq!(check(&grant(true), &good, contoso(), 59), Ok(()));
    assert_eq!(check(&grant(true), &good, contoso(), 60), Err(GrantRefusal::Expired));
    assert_eq!(check(&grant(true), &good, contoso(), 61), Err(GrantRefusal::Expired));
    assert_eq!(check(&grant(true), &good, fabrikam(), 0), Err(GrantRefusal::Tenant));
    for uri in [None, Some(""), Some("https://app.example/cb/"), Some("https://evil.example/cb")] {
        assert_eq!(check(&grant(true), &exchange(uri, Some(VERIFIER)), contoso(), 0), Err(GrantRefusal::RedirectUri), "{uri:?}");
    }
    let others = CodeGrant { app: AppId::random(&entropy()), ..grant(true) };
    assert_eq!(check(&others, &good, contoso(), 0), Err(GrantRefusal::Client), "G-03");
    let session = SessionId::random(&entropy());
    let moved = CodeGrant { sign_in: SignIn { session, ..sign_in() }, ..grant(true) };
    assert_ne!(
        moved.seal(&ring(), &entropy()).expose(),
        grant(true).seal(&ring(), &entropy()).expose(),
        "the session is inside the seal"
    );
    for refusal in [
        GrantRefusal::Unknown,
        GrantRefusal::Expired,
        GrantRefusal::Tenant,
        GrantRefusal::Client,
        GrantRefusal::RedirectUri,
        GrantRefusal::Verifier,
    ] {
        assert_eq!(refusal.code(), Code::GrantInvalid, "the client learns no more");
    }
}

/// G-10: every truncation, extension, change of case or of one character is no code.
#[test]
fn g_10_only_the_whole_code_opens() {
    let code = grant(true).seal(&ring(), &entropy());
    let text = code.expose();
    let open = |text: &str| CodeGrant::open(&ring(), contoso(), &Secret::new(text));
    assert_eq!(open(text), Ok(grant(true)));
    assert_eq!(CodeGrant::open(&ring(), fabrikam(), &code), Err(GrantRefusal::Unknown), "another tenant's");
    for cut in 0..text.len() {
        assert!(open(&text[..cut]).is_err() && (cut == 0 || open(&text[cut..]).is_err()), "{cut}");
    }
    for changed in [
        format!("{text}A"),
        format!("{text}="),
        format!("{text} "),
        text.to_ascii_uppercase(),
        text.to_ascii_lowercase(),
        text.replace('-', "+"),
    ] {
        assert!(changed == text || open(&changed).is_err());
    }
}

#[test]
fn a_code_is_short_and_the_longest_still_fits() {
    assert!(grant(true).seal(&ring(), &entropy()).expose().len() < 400);
    let app = app_with(serde_json::json!({ "redirect_uris": [format!("https://app.example/{}", "a".repeat(2000))] }));
    let query = with("nonce", &"\u{1F600}".repeat(128))
        .replace(&query(&[("redirect_uri", CALLBACK)]), &query(&[("redirect_uri", app.redirect_uris[0].as_str())]));
    let idp = "i".repeat(2048);
    let request = authorize(&query, &app).unwrap();
    let code = CodeGrant::issue(&request, contoso(), SignIn { idp, ..sign_in() }, now(), &entropy()).seal(&ring(), &entropy());
    let form = crate::oidc::fixture::query(&[("grant_type", "authorization_code"), ("code", code.expose()), ("client_id", APP)]);
    assert!(TokenRequest::parse(form.as_bytes(), None).is_ok(), "{}", code.expose().len());
}
