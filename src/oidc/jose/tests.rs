use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::oidc::{
    fixture::*,
    keys::SigningKey,
    token::{Resource, api_audience, verify_access, verify_app, verify_hint},
};

fn signer(alg: SigningAlg) -> &'static SigningKey {
    keys().signer(alg, now()).unwrap()
}

fn header() -> String {
    json!({ "typ": "at+jwt", "alg": "ES256", "kid": signer(SigningAlg::ES256).kid() }).to_string()
}

/// The claims of a good access token, with one member replaced.
fn claims_with(name: &str, value: Value) -> String {
    let mut claims = json!({
        "iss": issuer(contoso()).as_str(), "tid": contoso(), "sub": "s", "aud": api_audience(APP.parse().unwrap()), "client_id": APP,
        "exp": now().as_second() + 600, "iat": now().as_second(), "nbf": now().as_second(), "jti": "j", "scp": "openid", "ver": "2.0",
        "oid": APP, "sid": APP, "auth_time": 1, "vb_began": 1000, "session_expiry": 90000, "acr": "a", "idp": "i", "acct": 1, "vb_epoch": 0,
    });
    if value.is_null() && name.starts_with('-') {
        claims.as_object_mut().unwrap().remove(&name[1..]);
    } else if !name.is_empty() {
        claims[name] = value;
    }
    claims.to_string()
}

fn signed(header: &str, claims: &str) -> String {
    signer(SigningAlg::ES256).sign_raw(header, claims)
}

fn good() -> String {
    signed(&header(), &claims_with("", Value::Null))
}

fn refusal(token: &str) -> Option<TokenError> {
    verify_access(keys().public(), token, Resource::App(APP.parse().unwrap()), now(), SignedDuration::ZERO).err()
}

fn part(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// J-01, S-51, S-52: twelve forgeries that have worked somewhere.
#[test]
fn j_01_twelve_forged_tokens_are_refused() {
    let good = good();
    assert_eq!(refusal(&good), None);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let claims = claims_with("", Value::Null);
    let kid = signer(SigningAlg::ES256).kid();
    let with_alg = |alg: &str, signature: &str| {
        format!("{}.{}.{signature}", part(&json!({ "typ": "at+jwt", "alg": alg, "kid": kid }).to_string()), part(&claims))
    };
    // The public key as an HMAC secret: as JSON and as the raw point.
    let jwk = keys().verifying_key(kid, now()).unwrap();
    let KeyMaterial::Ec { x, y, .. } = &jwk.material else { panic!("EC") };
    let point: Vec<u8> = [vec![4], BASE64_URL_SAFE_NO_PAD.decode(x).unwrap(), BASE64_URL_SAFE_NO_PAD.decode(y).unwrap()].concat();
    let hmac = |secret: &[u8]| {
        let message = with_alg("HS256", "");
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let tag = aws_lc_rs::hmac::sign(&key, message.trim_end_matches('.').as_bytes());
        format!("{message}{}", BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref()))
    };
    let foreign = other_keys().signer(SigningAlg::ES256, now()).unwrap();
    let embedded = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid, "jwk": other_keys().verifying_key(foreign.kid(), now()), "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x", "x5c": ["AA=="] });
    let forgeries = [
        ("none", with_alg("none", ""), TokenError::Algorithm),
        ("None", with_alg("None", ""), TokenError::Algorithm),
        ("nOnE with the old signature", with_alg("nOnE", signature), TokenError::Algorithm),
        ("HS256 with the JWK as secret", hmac(serde_json::to_string(jwk).unwrap().as_bytes()), TokenError::Algorithm),
        ("HS256 with the point as secret", hmac(&point), TokenError::Algorithm),
        ("RS256 named for an EC key", with_alg("RS256", signature), TokenError::Algorithm),
        ("no signature", format!("{message}."), TokenError::Signature),
        ("a signature of zeros", format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode([0; 64])), TokenError::Signature),
        ("another tenant's key under our kid", foreign.sign_raw(&header(), &claims), TokenError::Signature),
        ("a key of the forger's in the header", foreign.sign_raw(&embedded.to_string(), &claims), TokenError::Signature),
        (
            "other claims under the old signature",
            format!("{}.{}.{signature}", part(&header()), part(&claims_with("sub", "x".into()))),
            TokenError::Signature,
        ),
        (
            "a critical extension",
            signed(&json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid, "crit": ["b64"], "b64": false }).to_string(), &claims),
            TokenError::Critical,
        ),
    ];
    for (what, token, error) in &forgeries {
        assert_eq!(refusal(token), Some(*error), "{what}");
    }
    let ours = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid, "jku": "https://evil.example/jwks", "x5c": ["AA=="] });
    assert_eq!(refusal(&signed(&ours.to_string(), &claims)), None, "S-52: what a header says of keys elsewhere is not looked at");
    assert_eq!(
        refusal(&signed(&json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid, "crit": null }).to_string(), &claims)),
        Some(TokenError::Critical)
    );
}

#[test]
fn j_03_a_kid_is_a_name_and_nothing_else() {
    for kid in ["", "../../etc/passwd", "' OR 1=1 --", "\u{0}", "%s", &"k".repeat(128)] {
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid }).to_string();
        assert_eq!(refusal(&signed(&header, &claims_with("", Value::Null))), Some(TokenError::UnknownKey), "{kid}");
    }
    for kid in [json!("k".repeat(129)), json!(1), json!(null), json!(["a"])] {
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid }).to_string();
        assert_eq!(refusal(&signed(&header, &claims_with("", Value::Null))), Some(TokenError::Malformed), "{kid}");
    }
    let header = json!({ "typ": "at+jwt", "alg": "ES256" }).to_string();
    assert_eq!(refusal(&signed(&header, &claims_with("", Value::Null))), Some(TokenError::Malformed));
}

#[test]
fn j_04_times_of_a_wrong_type_are_a_failure() {
    let soon = now().as_second() + 600;
    for name in ["exp", "iat", "nbf"] {
        for value in [
            json!(soon.to_string()),
            json!(soon as f64 + 0.5),
            json!([soon]),
            json!({ "t": soon }),
            json!(true),
            json!(null),
            json!(-1),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(i64::MAX),
            json!(1e300),
            json!(253_402_300_800_i64),
        ] {
            assert_eq!(
                refusal(&signed(&header(), &claims_with(name, value.clone()))),
                Some(TokenError::Malformed),
                "{name} {value}"
            );
        }
    }
    for missing in ["-exp", "-iat", "-iss", "-aud", "-tid", "-nbf", "-sub", "-client_id", "-jti", "-oid"] {
        assert_eq!(refusal(&signed(&header(), &claims_with(missing, Value::Null))), Some(TokenError::Malformed), "{missing}");
    }
    for (name, value) in
        [("iss", json!(1)), ("aud", json!([api_audience(APP.parse().unwrap())])), ("tid", json!(1)), ("aud", json!(null))]
    {
        assert_eq!(refusal(&signed(&header(), &claims_with(name, value))), Some(TokenError::Malformed), "{name}");
    }
}

/// S-55 and the times themselves, by the verifier's clock.
#[test]
fn times_are_judged_by_our_clock_with_at_most_a_minute_of_leeway() {
    let verdict = |claims: &str, at, leeway| {
        let app = Resource::App(APP.parse().unwrap());
        verify_access(keys().public(), &signed(&header(), claims), app, after(at), SignedDuration::from_secs(leeway)).err()
    };
    let plain = claims_with("", Value::Null);
    assert_eq!(verdict(&plain, 599, 0), None);
    assert_eq!(verdict(&plain, 600, 0), Some(TokenError::Expired));
    assert_eq!(verdict(&plain, 659, 60), None);
    assert_eq!(verdict(&plain, 660, 86_400), Some(TokenError::Expired), "more than a minute is never granted");
    assert_eq!(verdict(&plain, -1, 0), Some(TokenError::NotYetValid), "iat is in the future");
    assert_eq!(verdict(&plain, -60, 60), None);
    assert_eq!(verdict(&plain, -61, 86_400), Some(TokenError::NotYetValid));
    assert_eq!(verdict(&plain, 0, -60), None, "a negative leeway counts as none");
    let later = claims_with("nbf", json!(now().as_second() + 30));
    assert_eq!((verdict(&later, 29, 0), verdict(&later, 30, 0)), (Some(TokenError::NotYetValid), None));
}

#[test]
fn s_53_t_12_a_key_speaks_for_its_tenant_only() {
    let (contoso, fabrikam) = (issuer(contoso()), issuer(fabrikam()));
    let claims = claims_with("iss", fabrikam.as_str().into());
    assert_eq!(refusal(&signed(&header(), &claims)), Some(TokenError::Issuer), "our key, another issuer");
    assert_eq!(
        refusal(&signed(&header(), &claims_with("tid", json!(fabrikam.tenant())))),
        Some(TokenError::Issuer),
        "our issuer, another tenant"
    );
    let wrong = verify_access(other_keys().public(), &good(), Resource::App(APP.parse().unwrap()), now(), SignedDuration::ZERO);
    assert_eq!(wrong.err(), Some(TokenError::UnknownKey), "our token, the other tenant's keys");
    for close in [format!("{contoso}/"), contoso.as_str().to_ascii_uppercase(), contoso.base().to_owned(), String::new()] {
        assert_eq!(refusal(&signed(&header(), &claims_with("iss", close.clone().into()))), Some(TokenError::Issuer), "{close}");
    }
}

/// S-38, S-54: every kind has its own `typ` and audience, and is taken for no other.
#[test]
fn s_54_no_kind_of_token_passes_for_another() {
    let tokens = crate::oidc::token::mint(grantee("openid"), &app(), keys(), &ring(), now(), &entropy()).unwrap();
    let for_itself = crate::oidc::token::mint_app(&client(&app()), keys(), now(), &entropy()).unwrap().access_token;
    let id_token = tokens.id_token.unwrap();
    assert_eq!(refusal(&tokens.access_token), None);
    assert_eq!(refusal(&id_token), Some(TokenError::Kind));
    assert_eq!(refusal(&for_itself), Some(TokenError::Audience));
    let zero = SignedDuration::ZERO;
    assert_eq!(verify_app(keys().public(), &for_itself, now(), zero).unwrap().claims().roles, ["User.Invite.All"]);
    assert_eq!(verify_app(keys().public(), &tokens.access_token, now(), zero).err(), Some(TokenError::Audience));
    assert_eq!(verify_app(keys().public(), &id_token, now(), zero).err(), Some(TokenError::Kind));
    assert_eq!(verify_hint(keys().public(), &tokens.access_token, now()).err(), Some(TokenError::Kind));
    assert_eq!(verify_hint(keys().public(), &for_itself, now()).err(), Some(TokenError::Kind));
    let person_for_directory = claims_with("aud", issuer(contoso()).base().into());
    assert_eq!(
        verify_app(keys().public(), &signed(&header(), &person_for_directory), now(), zero).err(),
        Some(TokenError::Malformed),
        "a person's token is no app's, whatever its audience"
    );
    for typ in [
        json!("JWT"),
        json!("logout+jwt"),
        json!("client-authentication+jwt"),
        json!("dpop+jwt"),
        json!("at+JWT"),
        json!("AT+jwt"),
        json!(null),
        json!(""),
    ] {
        let header = json!({ "typ": typ, "alg": "ES256", "kid": signer(SigningAlg::ES256).kid() }).to_string();
        assert_eq!(refusal(&signed(&header, &claims_with("", Value::Null))), Some(TokenError::Kind), "{typ}");
    }
    let long = header().replace("at+jwt", "application/at+jwt");
    assert_eq!(refusal(&signed(&long, &claims_with("", Value::Null))), None, "RFC 9068 section 4 allows the long form");
    for other in [APP.to_owned(), "https://vestibule.example".into(), "api://x".into(), String::new()] {
        assert_eq!(refusal(&signed(&header(), &claims_with("aud", other.clone().into()))), Some(TokenError::Audience), "{other}");
    }
}

#[test]
fn s_57_encodings_are_strict() {
    let good = good();
    let parts: Vec<_> = good.split('.').collect();
    let claims = claims_with("", Value::Null);
    for bad in [
        format!("{good}="),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\n"),
        good.replacen('.', "=.", 1),
        good.replacen('.', ". ", 1),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}."),
        format!(".{good}"),
        "..".into(),
        String::new(),
        "a.b.c".into(),
        good.replace('-', "+"),
        format!("{}.{}.{}+", parts[0], parts[1], parts[2]),
        signed(&header().replace('{', r#"{"alg":"none","#), &claims),
        signed(&header().replace('}', r#","kid":"x"}"#), &claims),
        signed(&header(), &claims.replacen('{', r#"{"aud":"x","#, 1)),
        signed(&header(), &claims.replacen('{', r#"{"extra":1,"extra":2,"#, 1)),
        signed(&header(), "[]"),
        signed(&header(), "null"),
        signed(&header(), &format!("{claims}{claims}")),
        signed("[]", &claims),
        signed("\u{feff}{}", &claims),
    ] {
        let verdict = refusal(&bad);
        assert!(matches!(verdict, Some(TokenError::Malformed | TokenError::Signature)) || bad == good, "{verdict:?} {bad}");
    }
    // Trailing bits: the last character of a signature of 64 bytes has four bits that mean nothing and must be zero.
    let last = good.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    for sibling in alphabet[at + 1..].chars().take(15) {
        assert_eq!(refusal(&format!("{}{sibling}", &good[..good.len() - 1])), Some(TokenError::Malformed));
    }
}

#[test]
fn d_07_size_is_judged_before_anything_is_split() {
    assert_eq!(refusal(&".".repeat(1 << 20)), Some(TokenError::TooLarge));
    assert_eq!(refusal(&"a".repeat(MAX_TOKEN + 1)), Some(TokenError::TooLarge));
    assert_eq!(refusal(&".".repeat(MAX_TOKEN)), Some(TokenError::Malformed));
    let padded = claims_with("pad", "x".repeat(MAX_TOKEN).into());
    assert_eq!(refusal(&signed(&header(), &padded)), Some(TokenError::TooLarge));
    assert_eq!(
        refusal(&signed(
            &header(),
            &claims_with("deep", serde_json::from_str(&format!("{}{}", "[".repeat(40), "]".repeat(40))).unwrap())
        )),
        Some(TokenError::Malformed)
    );
}

#[test]
fn a_remote_party_verifies_with_nothing_but_the_jwks() {
    let jwks = serde_json::to_string(&keys().jwks(now())).unwrap();
    let public = PublicKeys::from_jwks(issuer(contoso()), &jwks).unwrap();
    let app = Resource::App(APP.parse().unwrap());
    for alg in ["ES256", "RS256"] {
        let app_of = app_with(json!({ "access_token_alg": alg }));
        let tokens = crate::oidc::token::mint(grantee("openid"), &app_of, keys(), &ring(), now(), &entropy()).unwrap();
        assert!(verify_access(&public, &tokens.access_token, app, after(5), SignedDuration::ZERO).is_ok(), "{alg}");
    }
    let elsewhere = PublicKeys::from_jwks(issuer(fabrikam()), &jwks).unwrap();
    assert_eq!(verify_access(&elsewhere, &good(), app, now(), SignedDuration::ZERO).err(), Some(TokenError::Issuer), "S-53");
}

#[test]
fn j_08_a_jwks_is_bounded_and_unambiguous() {
    let read = |jwks: &str| PublicKeys::from_jwks(issuer(contoso()), jwks).map(|keys| keys.keys.len());
    let document = serde_json::to_value(keys().jwks(now())).unwrap();
    let key = &document["keys"][0];
    let jwks = |keys: &[&Value]| json!({ "keys": keys }).to_string();
    let changed = |name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        key
    };
    assert_eq!(read(&document.to_string()), Ok(2));
    assert_eq!(read(&jwks(&[])), Ok(0));
    assert_eq!(read(&jwks(&[key, key])), Err(JwksError::RepeatedKid));
    assert_eq!(read(&jwks(&[&changed("d", "AA".into())])), Err(JwksError::PrivateKey));
    assert_eq!(read(&jwks(&[&json!({ "kty": "oct", "k": "AA", "alg": "HS256", "kid": "x" })])), Err(JwksError::PrivateKey));
    assert_eq!(
        read(&jwks(&[&changed("use", "enc".into()), &changed("alg", "ES512".into()), &json!({ "kty": "OKP" })])),
        Ok(0),
        "others are left out"
    );
    for bad in [
        changed("kid", "k".repeat(129).into()),
        changed("kid", "".into()),
        changed("kid", 1.into()),
        changed("kty", "x".into()),
        changed("n", "AQAB".into()),
        changed("x", "AQAB".into()),
    ] {
        let changes_it =
            bad != *key && !(key["kty"] == "RSA" && bad.get("x").is_some()) && !(key["kty"] == "EC" && bad.get("n").is_some());
        assert!(!changes_it || read(&jwks(&[&bad])) == Err(JwksError::Malformed), "{bad}");
    }
    let many: Vec<_> = (0..65).map(|n| changed("kid", n.to_string().into())).collect();
    assert_eq!(read(&json!({ "keys": many }).to_string()), Err(JwksError::TooLarge));
    assert_eq!(read(&" ".repeat(MAX_JWKS + 1)), Err(JwksError::TooLarge));
    for bad in ["", "<html>", "{}", "[]", r#"{"keys":1}"#, r#"{"keys":[],"keys":[]}"#] {
        assert_eq!(read(bad), Err(JwksError::Malformed), "{bad}");
    }
}

/// RFC 7638, section 3.1.
#[test]
fn the_thumbprint_is_the_standards() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let material = KeyMaterial::Rsa { n: n.into(), e: "AQAB".into() };
    assert_eq!(material.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

proptest! {
    #[test]
    fn no_token_panics(text in "\\PC*", at in 0usize..600, byte: u8) {
        refusal(&text);
        let mut token = good().into_bytes();
        let at = at % token.len();
        let changed = token[at] != byte;
        token[at] = byte;
        if let Ok(token) = String::from_utf8(token) {
            prop_assert_eq!(refusal(&token).is_some(), changed);
        }
    }
}
