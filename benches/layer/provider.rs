//! A provider on loopback, the layer in touch with it, and requests of a guest who signed in.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::{
    Form, Json, Router,
    body::Body,
    extract::{RawQuery, State},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::{FutureExt, stream};
use http::{Request, Response, header};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime, time::sleep};
use tower::{Layer, Service, ServiceExt};
use url::Url;
use uuid::Uuid;
use vestibule::{
    clock::{Clock, SystemClock, SystemEntropy, random_uuid},
    domain::{AppId, SessionId, TenantId, UserId},
    layer::{Guest, GuestLayer, GuestService, RemoteConfig},
    live::{FeedLog, LiveEvent, LiveState},
    oidc::{Endpoints, Issuer},
    secret::Secret,
};

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const APP: AppId = AppId(Uuid::from_u128(2));

/// The app: as little as a service can do, but for looking at its guest.
#[derive(Clone)]
pub(crate) struct App;

impl Service<Request<()>> for App {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        std::hint::black_box(request.extensions().get::<Guest>().map(Guest::id));
        ready(Ok(Response::new(String::new())))
    }
}

/// A provider that signs in whoever asks.
struct Provider {
    endpoints: Endpoints,
    key: EcdsaKeyPair,
    feed: FeedLog,
}

impl Provider {
    fn token(&self, typ: &str, audience: &str, nonce: Option<&str>) -> String {
        let now = SystemClock.now().as_second();
        let header = json!({ "typ": typ, "alg": "ES256", "kid": "k" });
        let mut claims = json!({
            "iss": self.endpoints.issuer.as_str(), "tid": TENANT, "sub": "qZ8K0mY1uP4nC7sD2fGh5jL9wX3vB6aE_rTtNiOoQxk",
            "aud": audience, "client_id": APP, "exp": now + 86_400, "iat": now, "nbf": now, "jti": "a-token-of-the-bench",
            "scp": "openid profile email", "ver": "2.0", "oid": UserId(Uuid::from_u128(3)), "sid": SessionId(Uuid::from_u128(4)),
            "vb_began": now * 1000, "session_expiry": now + 86_400, "auth_time": now, "vb_epoch": 1, "acct": 1,
            "acr": "urn:vestibule:acr:home-organisation", "idp": "https://fabrikam.example/", "name": "Ann Lee",
            "email": "ann.lee@fabrikam.example", "email_verified": true,
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let rng = aws_lc_rs::rand::SystemRandom::new();
        let signature = self.key.sign(&rng, signed.as_bytes()).expect("signs");
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn jwks(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let part = |range: std::ops::Range<usize>| BASE64_URL_SAFE_NO_PAD.encode(&point[range]);
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k", "x": part(1..33), "y": part(33..65) }] })
    }
}

async fn token(State(provider): State<Arc<Provider>>, Form(form): Form<HashMap<String, String>>) -> Json<Value> {
    // The code is the nonce: nobody but this program asks.
    let id_token = provider.token("JWT", &APP.to_string(), Some(&form["code"]));
    Json(json!({ "access_token": "x", "token_type": "Bearer", "expires_in": 600, "id_token": id_token }))
}

async fn feed(State(provider): State<Arc<Provider>>, RawQuery(_): RawQuery) -> Body {
    let subscription = provider.feed.subscribe(TENANT, APP, None);
    Body::from_stream(stream::unfold((provider, subscription), |(provider, mut subscription)| async move {
        let line = loop {
            if let Some(line) = subscription.next().now_or_never() {
                break line.ok()?;
            }
            sleep(Duration::from_millis(500)).await;
            if let Some(line) = subscription.heartbeat(SystemClock.now()) {
                break line;
            }
        };
        Some((Ok::<_, Infallible>(line.to_wire()), (provider, subscription)))
    }))
}

/// A provider on loopback, and the layer in touch with it. A thousand revocations of others are known, as on a busy day.
async fn door() -> (Arc<Provider>, GuestService<App>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let issuer = Issuer::new(&format!("http://{address}").parse().expect("a URL"), TENANT);
    let live = Arc::new(LiveState::new(SignedDuration::from_hours(24)));
    live.heard(SystemClock.now());
    let feed_log = FeedLog::new(live, FeedLog::CAPACITY, &SystemEntropy);
    let forget = SystemClock.now() + SignedDuration::from_hours(24);
    for _ in 0..1000 {
        let session = SessionId(random_uuid(&SystemEntropy));
        feed_log.publish(TENANT, LiveEvent::SessionEnded { session, forget });
    }
    feed_log.publish(TENANT, LiveEvent::TermsEpoch { everywhere: 1, apps: [(APP, 1)].into() });
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let provider = Arc::new(Provider { endpoints: Endpoints::new(issuer.clone()), key, feed: feed_log });
    let (metadata, jwks) = (serde_json::to_value(provider.endpoints.metadata(&[])).expect("JSON"), provider.jwks());
    let router = Router::new()
        .route(&format!("/{TENANT}/v2.0/.well-known/openid-configuration"), get(async || Json(metadata)))
        .route(&format!("/{TENANT}/discovery/v2.0/keys"), get(async || Json(jwks)))
        .route(&format!("/{TENANT}/oauth2/v2.0/token"), post(token))
        .route(&format!("/{TENANT}/live/v1/feed"), get(feed))
        .with_state(Arc::clone(&provider));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let app_url = "https://app.example".parse().expect("a URL");
    let layer = GuestLayer::remote(RemoteConfig::new(issuer, APP, Secret::new("the app's secret"), app_url)).expect("a layer");
    (provider, layer.layer(App))
}

/// Signs in through the provider; gives the value of the session cookie as a browser sends it.
async fn sign_in(service: &GuestService<App>) -> String {
    for _ in 0..200 {
        let page = Request::get("/").header(header::ACCEPT, "text/html").body(()).expect("a request");
        let answer = service.clone().oneshot(page).await.expect("an answer");
        let Some(location) = answer.headers().get(header::LOCATION) else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let location = Url::parse(location.to_str().expect("text")).expect("a URL");
        let query: HashMap<_, _> = location.query_pairs().into_owned().collect();
        let issuer = location.as_str().split("/oauth2").next().expect("an issuer").to_owned() + "/v2.0";
        let pairs = [("code", &query["nonce"]), ("state", &query["state"]), ("iss", &issuer)];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let callback = Request::get(format!("/.vestibule/callback?{query}")).header(header::COOKIE, cookie(&answer));
        let answer = service.clone().oneshot(callback.body(()).expect("a request")).await.expect("an answer");
        return cookie(&answer);
    }
    panic!("no sign-in");
}

fn cookie(answer: &Response<String>) -> String {
    let set = answer.headers().get(header::SET_COOKIE).unwrap_or_else(|| panic!("{} {}", answer.status(), answer.body()));
    set.to_str().expect("text").split(';').next().expect("a pair").to_owned()
}

fn request(name: header::HeaderName, value: &str) -> Request<()> {
    Request::get("/reports/7")
        .header("accept", "*/*")
        .header("host", "app.example")
        .header(name, value)
        .body(())
        .expect("a request")
}

pub(crate) fn call<S: Service<Request<()>, Response = Response<String>, Error = Infallible>>(
    service: &mut S,
    request: Request<()>,
) -> Response<String> {
    service.call(request).now_or_never().expect("answered at once").unwrap_or_else(|never| match never {})
}

/// The layer behind which the app is, and what a guest sends.
pub(crate) struct World {
    /// The service behind the layer.
    pub(crate) behind: GuestService<App>,
    session: String,
    bearer: String,
    /// Keeps the layer in touch.
    _runtime: Runtime,
}

/// The kinds of requests that are measured.
pub(crate) const CASES: [&str; 4] = [
    "session cookie",
    "session cookie, extensions in use",
    "session cookie beside others, extensions in use",
    "bearer token, extensions in use",
];

impl World {
    /// Starts the provider and signs in. The credentials have been used once.
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (behind, session, bearer) = runtime.block_on(async {
            let (provider, service) = door().await;
            let session = sign_in(&service).await;
            let bearer = format!("Bearer {}", provider.token("at+jwt", &format!("api://{APP}"), None));
            for (name, value) in [(header::COOKIE, &session), (header::AUTHORIZATION, &bearer)] {
                while service.clone().oneshot(request(name.clone(), value)).await.expect("an answer").status() != 200 {
                    sleep(Duration::from_millis(20)).await;
                }
            }
            (service, session, bearer)
        });
        Self { behind, session, bearer, _runtime: runtime }
    }

    /// A request of the kind at this place in [`CASES`].
    pub(crate) fn request(&self, case: usize) -> Request<()> {
        let mut request = match case {
            0 | 1 => request(header::COOKIE, &self.session),
            2 => request(header::COOKIE, &format!("theme=dark; {}; lang=en", self.session)),
            _ => request(header::AUTHORIZATION, &self.bearer),
        };
        if case > 0 {
            // In a server, extensions hold something already (the peer's address): the first entry costs two allocations.
            request.extensions_mut().insert(SocketAddr::from(([127, 0, 0, 1], 1)));
        }
        request
    }
}
