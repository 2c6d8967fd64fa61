//! An OpenID client of the demo's tenant, spelled out parameter by parameter, so that a test can get one of them wrong.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use reqwest::{Method, header::AUTHORIZATION};
use serde_json::Value;
use url::Url;

use super::{
    journey::Guest,
    process::Demo,
    random,
    visitor::{Answer, Direct, GONE, Visitor},
};

/// The sample app's registration, used by a client of our own.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) redirect_uri: String,
    pub(crate) issuer: String,
    /// The discovery document.
    pub(crate) metadata: Value,
    pub(crate) keys: JwkSet,
    http: Visitor,
}

/// A request to the authorization endpoint, and what only its sender knows.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    endpoint: Url,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) verifier: String,
    pub(crate) state: String,
    pub(crate) nonce: String,
}

impl Request {
    /// With a parameter set to another value, or added.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.parameters.retain(|(n, _)| n != name);
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a parameter.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(n, _)| n != name);
        self
    }

    /// With a parameter once more, whether it is there or not.
    pub(crate) fn repeated(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As a link.
    pub(crate) fn url(&self) -> String {
        let mut url = self.endpoint.clone();
        url.query_pairs_mut().extend_pairs(&self.parameters);
        url.into()
    }
}

/// What a code was exchanged for.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) id_token: Option<String>,
    /// The ID token's claims, verified.
    pub(crate) claims: Value,
}

impl Client {
    /// The sample app of `demo`.
    pub(crate) async fn of(demo: &Demo) -> Self {
        let mut http = Visitor::new(demo);
        let metadata = http.get_json(&format!("{}/.well-known/openid-configuration", demo.issuer)).await.expect(200).json();
        let keys = http.get_json(metadata["jwks_uri"].as_str().expect("jwks_uri")).await.expect(200).body;
        Self {
            id: demo.app.client_id.clone(),
            secret: demo.app.client_secret.clone(),
            redirect_uri: demo.app.redirect_uri.clone(),
            issuer: demo.issuer.clone(),
            metadata,
            keys: serde_json::from_str(&keys).expect("a JWK set"),
            http,
        }
    }

    /// An endpoint from the metadata.
    pub(crate) fn endpoint(&self, name: &str) -> Url {
        Url::parse(self.metadata[name].as_str().unwrap_or_else(|| panic!("no {name}"))).expect("a URL")
    }

    /// A code flow with everything in order.
    pub(crate) fn request(&self) -> Request {
        let (verifier, state, nonce) = (random(), random(), random());
        let challenge = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes()));
        let parameters = [
            ("client_id", self.id.as_str()),
            ("redirect_uri", &self.redirect_uri),
            ("response_type", "code"),
            ("scope", "openid profile email"),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Request { endpoint: self.endpoint("authorization_endpoint"), parameters, verifier, state, nonce }
    }

    /// Signs `guest` in through `request`; gives the code, having checked `state` and `iss` (S-13, S-26).
    pub(crate) async fn code(&self, guest: &mut Guest<'_>, request: &Request) -> String {
        let back = guest.arrive_at(&request.url(), &self.redirect_uri).await;
        let back = back.unwrap_or_else(|answer| panic!("no way back to the client: {}\n{}", answer.url, answer.body));
        self.code_in(&back, request)
    }

    /// The code in the URL that the browser was sent back to.
    pub(crate) fn code_in(&self, back: &Url, request: &Request) -> String {
        assert_eq!(parameter(back, "error"), None, "{back}");
        assert_eq!(parameter(back, "state"), Some(request.state.clone()), "S-13: {back}");
        assert_eq!(parameter(back, "iss"), Some(self.issuer.clone()), "S-26: {back}");
        parameter(back, "code").expect("a code")
    }

    /// The token endpoint's parameters for a code.
    pub(crate) fn code_grant(&self, code: &str, verifier: &str) -> Vec<(&'static str, String)> {
        vec![
            ("grant_type", "authorization_code".into()),
            ("code", code.into()),
            ("redirect_uri", self.redirect_uri.clone()),
            ("code_verifier", verifier.into()),
        ]
    }

    /// A request to the token endpoint with this client's secret in the header.
    pub(crate) async fn token(&self, parameters: &[(&str, String)]) -> Answer {
        let request = self.http.request(Method::POST, &self.endpoint("token_endpoint"));
        let answer = self.http.receive(request.basic_auth(&self.id, Some(&self.secret)).form(parameters)).await;
        assert!(answer.status == GONE || answer.header("cache-control").contains("no-store"), "S-14: {:?}", answer.headers);
        answer
    }

    /// Exchanges a code that is good.
    pub(crate) async fn exchange(&self, demo: &Demo, code: &str, request: &Request) -> Tokens {
        let answer = self.token(&self.code_grant(code, &request.verifier)).await.expect(200);
        let tokens = self.tokens(demo, &answer);
        assert_eq!(tokens.claims["nonce"], request.nonce, "S-12");
        tokens
    }

    /// Takes a token answer apart and checks every token in it (S-16).
    pub(crate) fn tokens(&self, demo: &Demo, answer: &Answer) -> Tokens {
        let body = answer.json();
        let member = |name: &str| body[name].as_str().map(str::to_owned);
        assert_eq!(body["token_type"], "Bearer", "{body}");
        let tokens = Tokens {
            access_token: member("access_token").expect("an access token"),
            refresh_token: member("refresh_token"),
            claims: member("id_token").map_or(Value::Null, |token| self.verified_id_token(&token)),
            id_token: member("id_token"),
        };
        for secret in [Some(&tokens.access_token), tokens.refresh_token.as_ref(), tokens.id_token.as_ref()].into_iter().flatten()
        {
            demo.secret(secret);
        }
        tokens
    }

    /// S-16: verifies an ID token as OpenID Connect Core 3.1.3.7 has it and checks the shape of its claims.
    fn verified_id_token(&self, token: &str) -> Value {
        let header = jsonwebtoken::decode_header(token).expect("a JWT");
        let key = self.keys.find(header.kid.as_deref().expect("a kid")).expect("the key is published");
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[&self.id]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
        let key = DecodingKey::from_jwk(key).expect("a usable key");
        let claims = jsonwebtoken::decode::<Value>(token, &key, &validation).expect("S-16: a valid ID token").claims;
        for time in ["exp", "iat", "auth_time"] {
            assert!(claims[time].is_i64(), "S-16: {time} in {claims}");
        }
        assert!(claims["iat"].as_i64() <= claims["exp"].as_i64(), "S-16: {claims}");
        let subject = claims["sub"].as_str().expect("S-16: sub is text");
        assert!((1..=255).contains(&subject.len()) && subject.is_ascii(), "S-15: {claims}");
        assert!(claims["email_verified"].is_boolean() || claims["email_verified"].is_null(), "S-16: {claims}");
        assert!(claims["aud"].is_string() || claims["azp"].is_string(), "S-16: {claims}");
        claims
    }

    /// The userinfo endpoint, asked with `token`.
    pub(crate) async fn userinfo(&self, token: &str) -> Answer {
        let request = self.http.request(Method::GET, &self.endpoint("userinfo_endpoint"));
        self.http.receive(request.header(AUTHORIZATION, format!("Bearer {token}"))).await
    }

    /// The same client, when the server may die over its requests.
    pub(crate) fn may_crash(mut self) -> Self {
        self.http.may_crash = true;
        self
    }

    /// The same client past the proxy.
    pub(crate) fn directly(mut self, nodes: &Direct) -> Self {
        self.http.direct = Some(nodes.clone());
        self
    }

    /// An HTTP client without any cookie.
    pub(crate) fn http(&self) -> Visitor {
        self.http.clone()
    }
}

/// A query parameter; it must not appear twice.
pub(crate) fn parameter(url: &Url, name: &str) -> Option<String> {
    let mut values = url.query_pairs().filter(|(n, _)| n == name).map(|(_, value)| value.into_owned());
    let value = values.next();
    assert!(values.next().is_none(), "{name} twice in {url}");
    value
}

/// The claims of a token, unverified, for looking at.
pub(crate) fn peek(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON")
}
