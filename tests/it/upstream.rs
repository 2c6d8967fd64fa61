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

use self::home::{Forgery, Home};

mod faults;
mod home;
mod tokens;

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
