//! Home organisations that are broken, slow, or point where they must not.

use super::{
    home::{Answer, Home, OTHER_RSA, RSA},
    *,
};

/// J-09: a discovery document of another issuer is refused.
#[tokio::test]
async fn j_09_discovery_names_the_configured_issuer() {
    let home = Home::start().await;
    for issuer in
        [format!("{}/", home.issuer), home.issuer.to_ascii_uppercase(), home.issuer.replace("fabrikam", "contoso"), String::new()]
    {
        home.document_with("issuer", issuer.clone());
        let answer = party(&[&home]).sign_in(&home, |_| {}).await;
        refused(answer, Code::HomeAnswerInvalid, "names another issuer", &issuer);
    }
}

/// N-01: what a discovery document points to is held to the same rules, and a browser is sent to web pages only.
#[tokio::test]
async fn n_01_endpoints_in_discovery_cannot_point_inside() {
    let home = Home::start().await;
    let inside =
        ["https://169.254.169.254/latest/meta-data/", "http://127.0.0.1:1/", "https://10.0.0.1/", "http://contoso.example/"];
    for target in inside {
        home.document_with("jwks_uri", target);
        refused(party(&[&home]).sign_in(&home, |_| {}).await, Code::HomeAnswerInvalid, "not allowed", target);
        home.document_with("token_endpoint", target);
        refused(party(&[&home]).sign_in(&home, |_| {}).await, Code::HomeAnswerInvalid, "not allowed", target);
        home.document_with("userinfo_endpoint", target);
        let answer = party(&[&home]).sign_in(&home, |token| token.claim("email", Value::Null)).await;
        refused(answer, Code::HomeAnswerInvalid, "not allowed", target);
    }
    for target in ["javascript:alert(1)", "http://contoso.example/", "data:text/html,x", "/authorize", ""] {
        home.document_with("authorization_endpoint", target);
        refused(party(&[&home]).sign_in(&home, |_| {}).await, Code::HomeAnswerInvalid, "", target);
    }
}

/// F-12, J-08: whatever is wrong with a home organisation, the answer is a code, in time, and nobody else notices.
#[tokio::test]
async fn f_12_broken_homes_are_told_apart_and_hold_up_nobody() {
    let raw = |status, media, body: &'static [u8]| Answer::Raw { status, media, body: body.into() };
    let huge = || Answer::Raw { status: 200, media: "application/json", body: vec![b' '; 10 << 20].into() };
    let many = json!({ "keys": vec![RSA.jwk(); 65] });
    let table = [
        ("silence", Answer::Silence, Code::HomeUnreachable),
        ("500", raw(500, "text/plain", b"oops"), Code::HomeUnreachable),
        ("429", raw(429, "text/plain", b""), Code::HomeUnreachable),
        ("404", raw(404, "text/plain", b""), Code::HomeAnswerInvalid),
        ("a page", raw(200, "text/html", b"<!doctype html><title>Welcome</title>"), Code::HomeAnswerInvalid),
        ("nothing", raw(200, "application/json", b""), Code::HomeAnswerInvalid),
        ("deep nesting", raw(200, "application/json", &[b'['; 100_000]), Code::HomeAnswerInvalid),
        ("10 MB", huge(), Code::HomeAnswerInvalid),
        ("a redirect", Answer::Redirect("/elsewhere".into()), Code::HomeAnswerInvalid),
        ("too many keys", Answer::Json(many), Code::HomeAnswerInvalid),
        ("no keys", Answer::Json(json!({ "keys": [] })), Code::HomeAnswerInvalid),
    ];
    let good = Home::start().await;
    for (name, answer, code) in table {
        for endpoint in ["discovery", "keys", "token"] {
            let home = Home::start().await;
            match endpoint {
                "discovery" => home.discovery(answer.clone()),
                "keys" => home.keys(answer.clone()),
                _ => home.token(Some(answer.clone())),
            }
            let party = party(&[&home, &good]);
            let (bad, fine) = tokio::join!(party.sign_in(&home, |_| {}), party.sign_in(&good, |_| {}));
            refused(bad, code, "", &format!("{name} at {endpoint}"));
            assert!(fine.is_ok(), "{name} at {endpoint} disturbs another home: {fine:?}");
        }
    }
    let mut down = good.clone();
    (down.address, down.issuer) = ("127.0.0.1:1".parse().unwrap(), "http://127.0.0.1:1/x".into());
    refused(party(&[&down]).sign_in(&down, |_| {}).await, Code::HomeUnreachable, "", "down");
}

/// F-12: a home that just failed is left alone for a moment; a copy that was good an hour ago still serves.
#[tokio::test]
async fn f_12_the_last_good_copy_serves_for_a_day() {
    let home = Home::start().await;
    let party = party(&[&home]);
    assert!(party.sign_in(&home, |_| {}).await.is_ok());
    assert!(party.sign_in(&home, |_| {}).await.is_ok());
    assert_eq!((home.count("openid-configuration"), home.count("/keys")), (1, 1), "known homes are not asked again");
    home.discovery(Answer::Raw { status: 500, media: "text/plain", body: "oops".into() });
    party.clock.advance(3600);
    assert!(party.sign_in(&home, |_| {}).await.is_ok());
    assert_eq!(home.count("openid-configuration"), 2);
    assert!(party.sign_in(&home, |_| {}).await.is_ok());
    assert_eq!(home.count("openid-configuration"), 2, "a failure is not repeated at once");
    party.clock.advance(23 * 3600);
    refused(party.sign_in(&home, |_| {}).await, Code::HomeUnreachable, "500", "after a day");
    let asked = home.count("openid-configuration");
    refused(party.sign_in(&home, |_| {}).await, Code::HomeUnreachable, "500", "at once again");
    assert_eq!(home.count("openid-configuration"), asked);
    home.document_with("issuer", home.issuer.clone());
    party.clock.advance(6);
    assert!(party.sign_in(&home, |_| {}).await.is_ok(), "it recovers");
}

/// F-12: keys that were rotated between discovery and callback are found; J-03: unknown keys cause few requests.
#[tokio::test]
async fn j_03_unknown_keys_cause_one_fetch_in_thirty_seconds() {
    let home = Home::start().await;
    let party = party(&[&home]);
    assert!(party.sign_in(&home, |_| {}).await.is_ok());
    home.keys(Answer::Json(json!({ "keys": [OTHER_RSA.jwk()] })));
    let rotated = party.sign_in(&home, |token| token.signed_by(&OTHER_RSA, Algorithm::RS256)).await;
    assert!(rotated.is_ok(), "{rotated:?}");
    assert_eq!(home.count("/keys"), 2);
    for step in 0..120 {
        let answer = party.sign_in(&home, move |token| token.header["kid"] = format!("made up {step}").into()).await;
        refused(answer, Code::HomeAnswerInvalid, "not among its own", "made up");
        party.clock.advance(1);
    }
    assert!(home.count("/keys") <= 2 + 4, "{}", home.count("/keys"));
    assert!(party.sign_in(&home, |token| token.signed_by(&OTHER_RSA, Algorithm::RS256)).await.is_ok());
}

/// J-03: the same at one moment: all of them wait for one fetch, and none for a second.
#[tokio::test]
async fn j_03_a_storm_of_unknown_keys_causes_one_fetch() {
    let home = Home::start().await;
    let party = party(&[&home]);
    let federation = federation(&home);
    let begun = party.begin(&federation, Demands::default()).await.unwrap();
    home.tokens(party.claims(&home, &begun), |token| token.header["kid"] = "made up".into());
    let callback = begun.callback();
    let storm = (0..50).map(|_| party.finish(&federation, &begun, &callback));
    for answer in futures_util::future::join_all(storm).await {
        refused(answer, Code::HomeAnswerInvalid, "not among its own", "made up");
    }
    assert_eq!(home.count("/keys"), 2);
}

/// A storm of sign-ins at a home that is not known yet asks for its documents once.
#[tokio::test]
async fn many_at_once_ask_a_home_once() {
    let home = Home::start().await;
    let party = party(&[&home]);
    let federation = federation(&home);
    let all = futures_util::future::join_all((0..50).map(|_| party.begin(&federation, Demands::default()))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!((home.count("openid-configuration"), home.count("/keys")), (1, 1));
}

#[tokio::test]
async fn errors_of_the_home_become_codes() {
    let home = Home::start().await;
    let party = party(&[&home]);
    let federation = federation(&home);
    let begun = party.begin(&federation, Demands::default()).await.unwrap();
    for (error, code) in [
        ("access_denied", Code::HomeRefused),
        ("login_required", Code::HomeRefused),
        ("unauthorized_client", Code::HomeRefused),
        ("temporarily_unavailable", Code::HomeUnreachable),
        ("server_error", Code::HomeUnreachable),
        ("<script>\r\nalert(1)</script>", Code::HomeRefused),
    ] {
        let callback = Callback { code: None, error: Some(error.into()), ..begun.callback() };
        refused(party.finish(&federation, &begun, &callback).await, code, "", error);
    }
    assert_eq!(home.count("/token"), 0);
    home.token(Some(Answer::Raw { status: 400, media: "application/json", body: r#"{"error":"invalid_grant"}"#.into() }));
    refused(party.finish(&federation, &begun, &begun.callback()).await, Code::HomeAnswerInvalid, "invalid_grant", "grant");
}
