//! What a home organisation says, in every wrong form.

use super::{
    home::{Answer, ED25519, Forgery, Home, OTHER_RSA, P256, RSA, Signer},
    *,
};

/// L-01, L-02: what an upstream says of an address counts only if it says "verified" and is trusted for the domain.
#[tokio::test]
async fn l_02_an_address_is_verified_only_by_whom_its_domain_is_bound_to() {
    let home = Home::start().await;
    let party = party(&[&home]);
    let said = [(json!(true), true), (json!("true"), true), (json!(false), false), (json!("false"), false), (Value::Null, false)];
    for (flag, verified) in said {
        for (address, bound) in [
            ("sam@fabrikam.example", true),
            ("SAM@FABRIKAM.EXAMPLE", true),
            ("victim@contoso.example", false),
            ("sam@mail.fabrikam.example", false),
            ("sam@fabrikam.example@contoso.example", false),
            ("s\u{212A}m@fabrikam.example", false),
            ("\"sam\"@fabrikam.example", false),
        ] {
            let said = flag.clone();
            let identity = party.sign_in(&home, move |token| {
                token.claim("email", address);
                token.claim("email_verified", said.clone());
            });
            let identity = identity.await.unwrap();
            assert_eq!(identity.email.is_some(), verified && bound, "{flag} {address}");
            assert_eq!(identity.claimed_email.is_none(), verified && bound, "{flag} {address}");
        }
    }
}

#[tokio::test]
async fn asymmetric_algorithms_are_accepted() {
    let home = Home::start().await;
    let party = party(&[&home]);
    for (key, algorithm) in
        [(&RSA, Algorithm::RS256), (&RSA, Algorithm::PS256), (&P256, Algorithm::ES256), (&ED25519, Algorithm::EdDSA)]
    {
        let answer = party.sign_in(&home, move |token| token.signed_by(key, algorithm)).await;
        assert!(answer.is_ok(), "{algorithm:?}: {answer:?}");
    }
    home.keys(Answer::Json(json!({ "keys": [RSA.jwk()] })));
    party.clock.advance(3700);
    let answer = party.sign_in(&home, |token| drop(token.header.as_object_mut().unwrap().remove("kid"))).await;
    assert!(answer.is_ok(), "a home with one key need not name it: {answer:?}");
}

/// J-05 (and J-01, J-03, J-04): a token that is wrong in one way is refused, for that reason.
#[tokio::test]
async fn j_05_forged_id_tokens_are_refused() {
    type Case = (&'static str, &'static str, Box<dyn Fn(&mut Forgery) + Send>);
    fn case(name: &'static str, why: &'static str, change: impl Fn(&mut Forgery) + Send + 'static) -> Case {
        (name, why, Box::new(change))
    }
    let home = Home::start().await;
    let party = party(&[&home]);
    let now = party.clock.now().as_second();
    let issuer = home.issuer.clone();
    let claim = |name: &'static str, why: &'static str, claim: &'static str, value: Value| {
        case(name, why, move |token| token.claim(claim, value.clone()))
    };
    let cases = [
        claim("another issuer", "Invalid issuer", "iss", json!("https://evil.example")),
        claim("issuer with a slash", "Invalid issuer", "iss", json!(format!("{issuer}/"))),
        claim("issuer in other case", "Invalid issuer", "iss", json!(issuer.to_ascii_uppercase())),
        claim("no issuer", "cannot be read", "iss", Value::Null),
        claim("another audience", "Invalid audiences", "aud", json!("fabrikam")),
        claim("audience in other case", "Invalid audiences", "aud", json!("Contoso")),
        claim("no audience", "Invalid audiences", "aud", Value::Null),
        claim("empty audience", "Invalid audiences", "aud", json!([])),
        claim("a further audience", "Invalid audiences", "aud", json!(["contoso", "evil"])),
        claim("another azp", "azp", "azp", json!("evil")),
        claim("another nonce", "Invalid nonce", "nonce", json!("AAAA")),
        claim("no nonce", "Invalid nonce", "nonce", Value::Null),
        claim("no subject", "cannot be read", "sub", Value::Null),
        claim("empty subject", "no proper subject", "sub", json!("")),
        claim("long subject", "no proper subject", "sub", json!("s".repeat(256))),
        claim("subject with a NUL", "no proper subject", "sub", json!("sam\0")),
        claim("subject as number", "cannot be read", "sub", json!(7)),
        claim("expired", "Expired", "exp", json!(now - 60)),
        claim("no expiry", "cannot be read", "exp", Value::Null),
        claim("expiry as text", "cannot be read", "exp", json!((now + 300).to_string())),
        claim("expiry as a date", "no number", "exp", json!("2030-01-01T00:00:00Z")),
        claim("expiry as list", "cannot be read", "exp", json!([now + 300])),
        claim("negative expiry", "", "exp", json!(-1)),
        claim("huge expiry", "", "exp", json!(1e300)),
        claim("far expiry", "out of range", "exp", json!(200_000_000_000_i64)),
        claim("issued in the future", "issued in the future", "iat", json!(now + 61)),
        claim("no issue time", "cannot be read", "iat", Value::Null),
        claim("not valid yet", "not valid yet", "nbf", json!(now + 61)),
        claim("not-before as text", "no number", "nbf", json!("soon")),
        claim("signed in in the future", "in the future", "auth_time", json!(now + 61)),
        claim("sign-in time as date", "no number", "auth_time", json!("2026-11-22T11:00:00Z")),
        claim("email_verified as number", "cannot be read", "email_verified", json!(1)),
        claim("email_verified as another text", "cannot be read", "email_verified", json!("yes")),
        claim("another at_hash", "at_hash", "at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        claim("too large", "too large", "padding", json!("x".repeat(16 * 1024))),
        case("not signed", "No signature found", |token| {
            token.header = json!({ "alg": "none" });
            token.signer = Signer::Nothing;
        }),
        case("not signed but says so not", "Crypto error", |token| token.signer = Signer::Nothing),
        case("none in capitals", "cannot be read", |token| {
            token.header = json!({ "alg": "None" });
            token.signer = Signer::Nothing;
        }),
        case("HMAC with the public key", "Disallowed signature algorithm", |token| {
            token.header["alg"] = "HS256".into();
            token.signer = Signer::Hmac(RSA.jwk().to_string().into_bytes());
        }),
        case("HMAC with our own secret", "Disallowed signature algorithm", |token| {
            token.header["alg"] = "HS256".into();
            token.signer = Signer::Hmac(secret().expose().as_bytes().to_vec());
        }),
        case("an algorithm that is not accepted", "Disallowed signature algorithm", |token| {
            token.signed_by(&RSA, Algorithm::RS384);
        }),
        case("another key under a known name", "Crypto error", |token| {
            token.signer = Signer::Key(&OTHER_RSA, Algorithm::RS256);
        }),
        case("an unknown key", "not among its own", |token| token.signed_by(&OTHER_RSA, Algorithm::RS256)),
        case("an unknown key, given along", "not among its own", |token| {
            token.signed_by(&OTHER_RSA, Algorithm::RS256);
            token.header["jwk"] = OTHER_RSA.jwk();
            token.header["jku"] = "https://evil.example/keys".into();
        }),
        case("a key of another kind", "not among its own", |token| token.header["kid"] = "p256".into()),
        case("a key by path", "not among its own", |token| token.header["kid"] = "../../etc/passwd".into()),
        case("a key by a very long name", "by more than a name", |token| token.header["kid"] = "k".repeat(129).into()),
        case("critical extensions", "critical", |token| token.header["crit"] = json!(["b64"])),
        case("another type", "JWT type", |token| token.header["typ"] = "at+jwt".into()),
        case("nested", "nested", |token| token.header["cty"] = "JWT".into()),
        case("no token at all", "no ID token", |token| token.response["id_token"] = Value::Null),
        case("not a token", "cannot be read", |token| token.response["id_token"] = "a.b.c".into()),
        case("an encrypted token", "cannot be read", |token| {
            token.header = json!({ "alg": "RSA-OAEP", "enc": "A256GCM" });
        }),
        case("no access token", "cannot be read", |token| {
            token.response.as_object_mut().unwrap().remove("access_token");
        }),
        case("a list instead of a response", "cannot be read", |token| token.response = json!([])),
    ];
    for (name, why, change) in cases {
        refused(party.sign_in(&home, change).await, Code::HomeAnswerInvalid, why, name);
    }
    assert!(party.sign_in(&home, |_| {}).await.is_ok(), "the unchanged token is accepted");
}

/// J-08: two keys of one name leave open which is meant.
#[tokio::test]
async fn j_08_a_repeated_key_id_is_refused() {
    let home = Home::start().await;
    let mut twin = OTHER_RSA.jwk();
    twin["kid"] = "rsa".into();
    home.keys(Answer::Json(json!({ "keys": [RSA.jwk(), twin] })));
    refused(party(&[&home]).sign_in(&home, |_| {}).await, Code::HomeAnswerInvalid, "Ambiguous", "twins");
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute() {
    let home = Home::start().await;
    let party = party(&[&home]);
    let now = party.clock.now().as_second();
    for (claim, value) in [("exp", now - 59), ("iat", now + 60), ("nbf", now + 60), ("auth_time", now + 60)] {
        let answer = party.sign_in(&home, move |token| token.claim(claim, value)).await;
        assert!(answer.is_ok_and(|identity| identity.auth_time.as_second() <= now), "{claim}");
    }
}

/// Core 5.4: an address that is not in the ID token is asked for; an answer about somebody else is refused (Core 5.3.2).
#[tokio::test]
async fn userinfo_completes_what_the_id_token_leaves_out() {
    let home = Home::start().await;
    let party = party(&[&home]);
    let bare = |token: &mut Forgery| {
        for name in ["email", "email_verified", "name"] {
            token.claim(name, Value::Null);
        }
    };
    home.userinfo(Answer::Json(json!({ "sub": "sam", "email": "sam@fabrikam.example", "email_verified": true, "name": "Sam" })));
    let identity = party.sign_in(&home, bare).await.unwrap();
    assert_eq!(identity.email.unwrap().address().as_str(), "sam@fabrikam.example");
    assert_eq!(identity.name.as_deref(), Some("Sam"));
    home.userinfo(Answer::Json(json!({ "sub": "victim", "email": "sam@fabrikam.example", "email_verified": true })));
    refused(party.sign_in(&home, bare).await, Code::HomeAnswerInvalid, "somebody else", "other subject");
    home.userinfo(Answer::Json(json!({ "sub": "sam", "email": "victim@contoso.example", "email_verified": true })));
    let identity = party.sign_in(&home, bare).await.unwrap();
    assert_eq!((identity.email, identity.claimed_email.as_deref()), (None, Some("victim@contoso.example")));
    let before = home.count("/userinfo");
    party.sign_in(&home, |_| {}).await.unwrap();
    assert_eq!(home.count("/userinfo"), before, "nobody is asked for what is known");
}
