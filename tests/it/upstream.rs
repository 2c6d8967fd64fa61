//! Home organisations, honest and hostile, against the relying party.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use vestibule::{
    clock::{Clock, ManualClock, SeededEntropy},
    domain::{FederationId, WebUrl, federation::Federation, user::VerifiedIdentity},
    error::Code,
    identity::upstream::{Callback, Demands, UpstreamAttempt, UpstreamError, Upstreams},
    outbound::{Client, OutboundPolicy},
    secret::Secret,
};

use self::home::{Answer, ED25519, Forgery, Home, OTHER_RSA, P256, RSA, Signer};

mod home;

/// A relying party with a clock of its own.
struct Party {
    upstreams: Upstreams,
    clock: ManualClock,
}

fn party(homes: &[&Home]) -> Party {
    let exceptions: Vec<_> = homes.iter().map(|home| home.address.to_string()).collect();
    let http = Client::new(OutboundPolicy::parse(&exceptions).unwrap()).unwrap().within(Duration::from_millis(700));
    let clock = ManualClock::new("2026-11-22T12:00:00Z".parse().unwrap());
    Party { upstreams: Upstreams::new(http, Arc::new(clock.clone()), Arc::new(SeededEntropy::new(7))), clock }
}

fn federation(home: &Home) -> Federation {
    Federation {
        id: FederationId(uuid::Uuid::from_u128(home.address.port().into())),
        display_name: "Fabrikam".into(),
        issuer: home.issuer.parse().unwrap(),
        client_id: "contoso".into(),
        client_secret: String::new(),
        domains: vec!["fabrikam.example".parse().unwrap()],
        enabled: true,
    }
}

fn redirect_uri() -> WebUrl {
    "https://contoso.example/callback/fabrikam".parse().unwrap()
}

fn secret() -> Secret {
    Secret::new("client secret")
}

/// What a sign-in began with, as the browser would carry it.
struct Begun {
    attempt: UpstreamAttempt,
    query: Vec<(String, String)>,
}

impl Begun {
    fn get(&self, name: &str) -> String {
        let found: Vec<_> = self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect();
        assert!(found.len() <= 1, "{name} appears twice");
        found.into_iter().next().unwrap_or_default()
    }

    fn callback(&self) -> Callback {
        Callback { code: Some("a-code".into()), state: Some(self.get("state")), ..Callback::default() }
    }
}

impl Party {
    async fn begin(&self, federation: &Federation, demands: Demands<'_>) -> Result<Begun, UpstreamError> {
        let (url, attempt) = self.upstreams.begin(federation, &redirect_uri(), demands).await?;
        Ok(Begun { attempt, query: url.query_pairs().into_owned().collect() })
    }

    async fn finish(
        &self,
        federation: &Federation,
        begun: &Begun,
        callback: &Callback,
    ) -> Result<VerifiedIdentity, UpstreamError> {
        self.upstreams.finish(federation, &secret(), &redirect_uri(), &begun.attempt, callback).await
    }

    /// The claims of an honest ID token that answers a request.
    fn claims(&self, home: &Home, begun: &Begun) -> Value {
        let now = self.clock.now().as_second();
        json!({
            "iss": home.issuer, "aud": "contoso", "sub": "sam", "nonce": begun.get("nonce"),
            "iat": now, "exp": now + 300, "auth_time": now - 10, "amr": ["pwd"],
            "email": "sam@fabrikam.example", "email_verified": true, "name": "Sam Field",
        })
    }

    /// A whole sign-in, with something wrong about the token.
    async fn sign_in(
        &self,
        home: &Home,
        mutation: impl Fn(&mut Forgery) + Send + 'static,
    ) -> Result<VerifiedIdentity, UpstreamError> {
        let federation = federation(home);
        let begun = self.begin(&federation, Demands::default()).await?;
        home.tokens(self.claims(home, &begun), mutation);
        self.finish(&federation, &begun, &begun.callback()).await
    }
}

/// The error and all its causes, as a log would show them.
fn chain(error: &UpstreamError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(current) = cause {
        text = format!("{text}: {current}");
        cause = current.source();
    }
    text
}

fn refused(answer: Result<VerifiedIdentity, UpstreamError>, code: Code, why: &str, case: &str) {
    let error = answer.expect_err(case);
    let text = chain(&error);
    assert_eq!(error.code(), code, "{case}: {text}");
    assert!(text.contains(why), "{case}: {text}");
    for leak in ["an-access-token", "client secret", "a-code"] {
        assert!(!format!("{text} {error:?}").contains(leak), "{case}: {text}");
    }
}

#[tokio::test]
async fn l_01_a_guest_is_issuer_and_subject() {
    let home = Home::start().await;
    let party = party(&[&home]);
    let sam = party.sign_in(&home, |_| {}).await.unwrap();
    assert_eq!((sam.identity.issuer.as_str(), sam.identity.subject.as_str()), (home.issuer.as_str(), "sam"));
    assert_eq!(sam.email.unwrap().address().as_str(), "sam@fabrikam.example");
    assert_eq!((sam.claimed_email, sam.name.as_deref()), (None, Some("Sam Field")));
    assert_eq!(sam.auth_time.as_second(), party.clock.now().as_second() - 10);
    assert_eq!(sam.amr, ["pwd"]);
    // The same address under another subject is another person.
    let other = party.sign_in(&home, |token| token.claim("sub", "Sam")).await.unwrap();
    assert_eq!(other.identity.subject, "Sam");
}

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

/// J-06: an answer counts only for the attempt, the federation and the issuer that it belongs to; the code goes nowhere else.
#[tokio::test]
async fn j_06_answers_of_another_home_are_refused_before_any_token_request() {
    let (honest, evil) = (Home::start().await, Home::start().await);
    let party = party(&[&honest, &evil]);
    let (fabrikam, other) = (federation(&honest), federation(&evil));
    let begun = party.begin(&fabrikam, Demands::default()).await.unwrap();
    let at_other = party.begin(&other, Demands::default()).await.unwrap();
    honest.tokens(party.claims(&honest, &begun), |_| {});

    let invalid = |answer, case| refused(answer, Code::HomeAnswerInvalid, "", case);
    invalid(party.finish(&other, &begun, &begun.callback()).await, "at the callback of another federation");
    invalid(party.finish(&fabrikam, &begun, &at_other.callback()).await, "state of another attempt");
    let state = begun.get("state");
    for forged in
        [None, Some(String::new()), Some(state[1..].to_owned()), Some(state.to_ascii_lowercase()), Some(format!("{state}="))]
    {
        let callback = Callback { state: forged, ..begun.callback() };
        invalid(party.finish(&fabrikam, &begun, &callback).await, "state that was made up");
    }
    for issuer in [evil.issuer.clone(), format!("{}/", honest.issuer), String::new()] {
        let callback = Callback { iss: Some(issuer), ..begun.callback() };
        invalid(party.finish(&fabrikam, &begun, &callback).await, "another issuer");
        let callback = Callback { code: None, error: Some("access_denied".into()), ..callback };
        invalid(party.finish(&fabrikam, &begun, &callback).await, "an error of another issuer");
    }
    for code in [None, Some(String::new()), Some("c".repeat(4097))] {
        invalid(party.finish(&fabrikam, &begun, &Callback { code, ..begun.callback() }).await, "no proper code");
    }
    assert_eq!(honest.count("/token") + evil.count("/token"), 0);

    let named = Callback { iss: Some(honest.issuer.clone()), ..begun.callback() };
    assert!(party.finish(&fabrikam, &begun, &named).await.is_ok());
    // Once a home announces that it names itself, it always has to (RFC 9207 section 2.4).
    honest.document_with("authorization_response_iss_parameter_supported", true);
    party.clock.advance(3700);
    let begun = party.begin(&fabrikam, Demands::default()).await.unwrap();
    honest.tokens(party.claims(&honest, &begun), |_| {});
    invalid(party.finish(&fabrikam, &begun, &begun.callback()).await, "unnamed");
    let named = Callback { iss: Some(honest.issuer.clone()), ..begun.callback() };
    assert!(party.finish(&fabrikam, &begun, &named).await.is_ok());
}

/// T-05: a federation that was switched off neither starts nor ends a sign-in.
#[tokio::test]
async fn t_05_a_disabled_federation_is_refused_at_both_ends() {
    let home = Home::start().await;
    let party = party(&[&home]);
    let mut federation = federation(&home);
    let begun = party.begin(&federation, Demands::default()).await.unwrap();
    home.tokens(party.claims(&home, &begun), |_| {});
    federation.enabled = false;
    refused(party.finish(&federation, &begun, &begun.callback()).await, Code::HomeDisabled, "", "at the end");
    assert_eq!(party.begin(&federation, Demands::default()).await.err().map(|error| error.code()), Some(Code::HomeDisabled));
    assert_eq!(home.count("/token"), 0);
}

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

/// S-66: code flow with PKCE, state and nonce, each fresh; the client authenticates as the home wants it.
#[tokio::test]
async fn the_request_is_a_code_flow_with_pkce() {
    let home = Home::start().await;
    let party = party(&[&home]);
    let federation = federation(&home);
    let address = "sam@fabrikam.example".parse().unwrap();
    let begun = party.begin(&federation, Demands { login_hint: Some(&address), ..Demands::default() }).await.unwrap();
    let again = party.begin(&federation, Demands::default()).await.unwrap();
    assert_eq!(begun.get("response_type"), "code");
    assert_eq!(begun.get("client_id"), "contoso");
    assert_eq!(begun.get("redirect_uri"), redirect_uri().as_str());
    assert_eq!(begun.get("scope"), "openid profile email");
    assert_eq!(begun.get("code_challenge_method"), "S256");
    assert_eq!(begun.get("login_hint"), "sam@fabrikam.example");
    for absent in ["prompt", "max_age"] {
        assert_eq!(begun.get(absent), "");
    }
    for fresh in ["state", "nonce", "code_challenge"] {
        assert_eq!(begun.get(fresh).len(), 43, "{fresh}");
        assert_ne!(begun.get(fresh), again.get(fresh), "{fresh}");
    }

    home.tokens(party.claims(&home, &begun), |_| {});
    party.finish(&federation, &begun, &begun.callback()).await.unwrap();
    let (form, authorization) = home.last_token_request();
    let form: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let verifier = &form.iter().find(|(name, _)| name == "code_verifier").unwrap().1;
    let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(challenge), begun.get("code_challenge"));
    assert!(authorization.starts_with("Basic "), "{authorization}");
    assert!(!form.iter().any(|(name, _)| name == "client_secret"));

    home.document_with("token_endpoint_auth_methods_supported", json!(["client_secret_post"]));
    party.clock.advance(3700);
    party.sign_in(&home, |_| {}).await.unwrap();
    let (form, authorization) = home.last_token_request();
    assert_eq!(authorization, "");
    assert!(form.contains("client_secret=client+secret"), "{form}");
}

/// C-10, C-12, S-05: a demand to sign in anew travels there, and is checked on the way back.
#[tokio::test]
async fn c_10_a_demand_for_a_fresh_sign_in_is_checked() {
    let home = Home::start().await;
    let party = party(&[&home]);
    let federation = federation(&home);
    let login = Demands { prompt_login: true, ..Demands::default() };
    let recent = Demands { max_age: Some(600), ..Demands::default() };
    let now = party.clock.now().as_second();
    for (demands, auth_time, accepted) in [
        (login, json!(now), true),
        (login, json!(now - 60), true),
        (login, json!(now - 61), false),
        (login, Value::Null, false),
        (recent, json!(now - 660), true),
        (recent, json!(now - 661), false),
        (recent, Value::Null, false),
        (Demands::default(), json!(now - 9999), true),
        (Demands::default(), Value::Null, true),
    ] {
        let begun = party.begin(&federation, demands).await.unwrap();
        assert_eq!(begun.get("prompt"), if demands.prompt_login { "login" } else { "" });
        let asked = if demands.prompt_login { Some(0) } else { demands.max_age };
        assert_eq!(begun.get("max_age"), asked.map(|age| age.to_string()).unwrap_or_default());
        let said = auth_time.clone();
        home.tokens(party.claims(&home, &begun), move |token| token.claim("auth_time", said.clone()));
        let answer = party.finish(&federation, &begun, &begun.callback()).await;
        assert_eq!(answer.is_ok(), accepted, "{demands:?} {auth_time}: {answer:?}");
        if let Ok(identity) = answer {
            assert_eq!(identity.auth_time.as_second(), auth_time.as_i64().unwrap_or(now), "{auth_time}");
        }
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
