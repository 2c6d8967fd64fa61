//! A home organisation under the test's control: an OpenID provider on loopback that can be told to misbehave.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, jwk::Jwk};
use serde_json::{Value, json};

/// What a key is called, and what signs with it.
pub(super) struct TestKey {
    pub(super) kid: &'static str,
    pub(super) algorithm: Algorithm,
    key: EncodingKey,
}

fn rsa(kid: &'static str, algorithm: Algorithm) -> TestKey {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der.as_ref()));
    TestKey { kid, algorithm, key: EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap() }
}

/// The keys that homes publish by default, one an algorithm.
pub(super) static RSA: LazyLock<TestKey> = LazyLock::new(|| rsa("rsa", Algorithm::RS256));
/// A key that no home publishes by default.
pub(super) static OTHER_RSA: LazyLock<TestKey> = LazyLock::new(|| rsa("other", Algorithm::RS256));
pub(super) static P256: LazyLock<TestKey> = LazyLock::new(|| {
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    TestKey { kid: "p256", algorithm: Algorithm::ES256, key: EncodingKey::from_ec_der(der.as_ref()) }
});
pub(super) static ED25519: LazyLock<TestKey> = LazyLock::new(|| {
    let der = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
    TestKey { kid: "ed25519", algorithm: Algorithm::EdDSA, key: EncodingKey::from_ed_der(der.as_ref()) }
});

impl TestKey {
    /// The public part, as a member of a key set.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        jwk.as_object_mut().unwrap().retain(|name, _| !["alg", "use", "key_ops"].contains(&name.as_str()));
        jwk["kid"] = self.kid.into();
        jwk
    }

    /// Signs a token, with another algorithm than its own where that is asked for.
    fn sign(&self, message: &str, algorithm: Algorithm) -> String {
        jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, algorithm).unwrap()
    }
}

/// How a forged token is signed.
pub(super) enum Signer {
    Key(&'static TestKey, Algorithm),
    /// HMAC with these bytes.
    Hmac(Vec<u8>),
    /// With nothing at all.
    Nothing,
}

/// An ID token before it is signed, with everything that can be wrong about it.
pub(super) struct Forgery {
    pub(super) header: Value,
    pub(super) claims: Value,
    pub(super) signer: Signer,
    /// The whole token response; the ID token is added to it unless it has one.
    pub(super) response: Value,
}

impl Forgery {
    /// Changes a claim, or removes it when `value` is null.
    pub(super) fn claim(&mut self, name: &str, value: impl Into<Value>) {
        let claims = self.claims.as_object_mut().unwrap();
        match value.into() {
            Value::Null => claims.remove(name),
            value => claims.insert(name.into(), value),
        };
    }

    /// Signs with another key, and says so.
    pub(super) fn signed_by(&mut self, key: &'static TestKey, algorithm: Algorithm) {
        self.header["kid"] = key.kid.into();
        self.header["alg"] = serde_json::to_value(algorithm).unwrap();
        self.signer = Signer::Key(key, algorithm);
    }

    fn finish(self) -> Value {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature = match self.signer {
            Signer::Key(key, algorithm) => key.sign(&message, algorithm),
            Signer::Hmac(secret) => {
                jsonwebtoken::crypto::sign(message.as_bytes(), &EncodingKey::from_secret(&secret), Algorithm::HS256).unwrap()
            }
            Signer::Nothing => String::new(),
        };
        let mut response = self.response;
        if let Some(response) = response.as_object_mut() {
            response.entry("id_token").or_insert_with(|| format!("{message}.{signature}").into());
        }
        response
    }
}

/// What an endpoint answers.
#[derive(Clone)]
pub(super) enum Answer {
    Json(Value),
    Raw {
        status: u16,
        media: &'static str,
        body: Bytes,
    },
    Redirect(String),
    /// After a while, nothing.
    Silence,
}

impl Answer {
    async fn response(self) -> Response {
        match self {
            Self::Json(value) => ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response(),
            Self::Raw { status, media, body } => {
                (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, media)], Body::from(body)).into_response()
            }
            Self::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
            Self::Silence => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                StatusCode::OK.into_response()
            }
        }
    }
}

type Mutation = Box<dyn Fn(&mut Forgery) + Send>;

struct Script {
    discovery: Answer,
    keys: Answer,
    userinfo: Answer,
    /// Instead of a token response.
    token: Option<Answer>,
    mutation: Mutation,
    claims: Value,
    /// Method and path of every request, and the body and authorization of the last one to the token endpoint.
    requests: Vec<String>,
    token_form: String,
    token_authorization: String,
}

/// The provider. It runs as long as the test's runtime.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) address: SocketAddr,
    pub(super) issuer: String,
    script: Arc<Mutex<Script>>,
}

impl Home {
    /// An honest home organisation.
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("http://{address}/fabrikam/v2.0");
        let script = Script {
            discovery: Answer::Json(Self::document(&issuer)),
            keys: Answer::Json(json!({ "keys": [RSA.jwk(), P256.jwk(), ED25519.jwk()] })),
            userinfo: Answer::Json(json!({ "sub": "sam" })),
            token: None,
            mutation: Box::new(|_| {}),
            claims: Value::Null,
            requests: Vec::new(),
            token_form: String::new(),
            token_authorization: String::new(),
        };
        let home = Self { address, issuer, script: Arc::new(Mutex::new(script)) };
        let router = Router::new().fallback(answer).with_state(home.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        home
    }

    fn document(issuer: &str) -> Value {
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            // Not to be relied on: a provider that was broken into would list what suits it.
            "id_token_signing_alg_values_supported": ["none", "HS256", "RS256"],
        })
    }

    fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn discovery(&self, answer: Answer) {
        self.script(|script| script.discovery = answer);
    }

    /// Changes a member of the honest discovery document.
    pub(super) fn document_with(&self, member: &str, value: impl Into<Value>) {
        let mut document = Self::document(&self.issuer);
        document[member] = value.into();
        self.discovery(Answer::Json(document));
    }

    pub(super) fn keys(&self, answer: Answer) {
        self.script(|script| script.keys = answer);
    }

    pub(super) fn userinfo(&self, answer: Answer) {
        self.script(|script| script.userinfo = answer);
    }

    pub(super) fn token(&self, answer: Option<Answer>) {
        self.script(|script| script.token = answer);
    }

    /// The claims of the next ID tokens, and what is to be wrong with them.
    pub(super) fn tokens(&self, claims: Value, mutation: impl Fn(&mut Forgery) + Send + 'static) {
        self.script(|script| (script.claims, script.mutation) = (claims, Box::new(mutation)));
    }

    /// How many requests there were whose path ends so.
    pub(super) fn count(&self, end: &str) -> usize {
        self.script(|script| script.requests.iter().filter(|path| path.ends_with(end)).count())
    }

    /// The form and the authorization header of the last token request.
    pub(super) fn last_token_request(&self) -> (String, String) {
        self.script(|script| (script.token_form.clone(), script.token_authorization.clone()))
    }

    fn answer_to(&self, path: &str, headers: &HeaderMap, body: &Bytes) -> Answer {
        let authorization =
            headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        self.script(|script| {
            script.requests.push(path.to_owned());
            match path.rsplit('/').next().unwrap_or_default() {
                "openid-configuration" => script.discovery.clone(),
                "keys" => script.keys.clone(),
                "userinfo" if authorization == "Bearer an-access-token" => script.userinfo.clone(),
                "token" => {
                    script.token_form = String::from_utf8_lossy(body).into_owned();
                    script.token_authorization = authorization;
                    script.token.clone().unwrap_or_else(|| {
                        let mut forgery = Forgery {
                            header: json!({ "alg": "RS256", "kid": "rsa", "typ": "JWT" }),
                            claims: script.claims.clone(),
                            signer: Signer::Key(&RSA, Algorithm::RS256),
                            response: json!({ "access_token": "an-access-token", "token_type": "Bearer", "expires_in": 300 }),
                        };
                        (script.mutation)(&mut forgery);
                        Answer::Json(forgery.finish())
                    })
                }
                _ => Answer::Raw { status: 404, media: "text/plain", body: Bytes::new() },
            }
        })
    }
}

async fn answer(State(home): State<Home>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    home.answer_to(uri.path(), &headers, &body).response().await
}
