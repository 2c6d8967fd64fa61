//! The remote form against a provider behind a real socket.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    Form, Json, Router,
    body::Body,
    extract::{RawQuery, State},
    middleware::Next,
    response::IntoResponse,
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::stream;
use http::{StatusCode, header::AUTHORIZATION};
use jiff::SignedDuration;
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use super::{
    provider::{SESSION, TENANT, at},
    *,
};
use crate::{
    clock::{Clock, SeededEntropy},
    error::Code,
    layer::{Provider, RemoteConfig, SetupError},
    live::{FeedLog, LiveEvent, LiveState, Position},
    oidc::Endpoints,
    secret::Secret,
};

const SECRET: &str = "client secret";

/// A provider's endpoints, on top of the one in memory.
struct Server {
    provider: TestProvider,
    /// Another one after a restart.
    feed: ArcSwap<FeedLog>,
    /// Nothing is answered while it is down.
    down: AtomicBool,
    key_requests: AtomicU32,
}

impl Server {
    fn new(address: SocketAddr) -> Arc<Self> {
        let provider = TestProvider::at(&format!("http://{address}"));
        let feed = ArcSwap::new(Arc::new(Self::feed(&provider, 1)));
        Arc::new(Self { provider, feed, down: AtomicBool::new(false), key_requests: AtomicU32::new(0) })
    }

    fn feed(provider: &TestProvider, stream: u64) -> FeedLog {
        let live = Arc::new(LiveState::new(SignedDuration::from_hours(1)));
        live.heard(provider.clock.now());
        FeedLog::new(live, 8, &SeededEntropy::new(stream))
    }

    /// At the door and where tokens are made.
    fn happens(&self, event: LiveEvent) {
        self.feed.load().publish(TENANT, event.clone());
        self.provider.happens(event);
    }

    fn is_client(headers: &HeaderMap) -> bool {
        let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{APP}:client+secret")));
        headers.get(AUTHORIZATION).is_some_and(|value| value == expected.as_str())
    }

    fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route(&format!("/{TENANT}/v2.0/.well-known/openid-configuration"), get(metadata))
            .route(&format!("/{TENANT}/discovery/v2.0/keys"), get(keys))
            .route(&format!("/{TENANT}/oauth2/v2.0/token"), post(token))
            .route(&format!("/{TENANT}/live/v1/feed"), get(feed))
            .layer(axum::middleware::from_fn_with_state(Arc::clone(self), up))
            .with_state(Arc::clone(self))
    }
}

async fn up(State(server): State<Arc<Server>>, request: axum::extract::Request, next: Next) -> axum::response::Response {
    if server.down.load(Ordering::SeqCst) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    next.run(request).await
}

async fn metadata(State(server): State<Arc<Server>>) -> impl IntoResponse {
    let endpoints = Endpoints::new(server.provider.issuer.clone());
    Json(serde_json::to_value(endpoints.metadata(&[])).unwrap())
}

async fn keys(State(server): State<Arc<Server>>) -> impl IntoResponse {
    server.key_requests.fetch_add(1, Ordering::SeqCst);
    Json(serde_json::to_value(server.provider.keys.jwks(server.provider.clock.now())).unwrap())
}

async fn token(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> impl IntoResponse {
    if !Server::is_client(&headers) {
        return (StatusCode::UNAUTHORIZED, Json(serde_json::json!({ "error": "invalid_client" })));
    }
    let secret = |name: &str| Secret::new(form[name].clone());
    match server.provider.exchange(APP, secret("code"), secret("code_verifier"), &form["redirect_uri"]).await {
        Ok(id_token) => {
            let body = serde_json::json!({
                "access_token": "x", "token_type": "Bearer", "expires_in": 600, "id_token": id_token.expose(),
            });
            (StatusCode::OK, Json(body))
        }
        Err(_) => (StatusCode::BAD_REQUEST, Json(serde_json::json!({ "error": "invalid_grant" }))),
    }
}

async fn feed(State(server): State<Arc<Server>>, headers: HeaderMap, RawQuery(query): RawQuery) -> axum::response::Response {
    if !Server::is_client(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let query: HashMap<String, String> = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let after =
        query.get("stream").map(|stream| Position { stream: stream.parse().unwrap(), seq: query["after"].parse().unwrap() });
    let subscription = server.feed.load().subscribe(TENANT, APP, after);
    let lines = stream::unfold((server, subscription), |(server, mut subscription)| async move {
        let line = loop {
            tokio::select! {
                biased;
                line = subscription.next() => break line.ok()?,
                () = sleep(Duration::from_millis(10)) => {
                    if server.down.load(Ordering::SeqCst) {
                        return None;
                    }
                    if let Some(line) = subscription.heartbeat(server.provider.clock.now()) {
                        break line;
                    }
                }
            }
        };
        Some((Ok::<_, Infallible>(line.to_wire()), (server, subscription)))
    });
    Body::from_stream(lines).into_response()
}

async fn listen(server: &Arc<Server>, address: SocketAddr) -> JoinHandle<()> {
    let listener = eventually(async || TcpListener::bind(address).await.ok()).await;
    let router = server.router();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

/// Asks again until there is an answer, for a few seconds at most.
async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(answer) = ask().await {
            return answer;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("not within five seconds");
}

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn door(server: &Server) -> GuestLayer {
    let mut config = RemoteConfig::new(server.provider.issuer.clone(), APP, Secret::new(SECRET), APP_URL.parse().unwrap());
    config.clock = Arc::new(server.provider.clock.clone());
    assert!(!format!("{config:?}").contains("secret"));
    GuestLayer::remote(config).unwrap()
}

async fn open(layer: &GuestLayer, browser: &mut Browser, target: &str) -> Response<String> {
    let target = target.strip_prefix(APP_URL).unwrap_or(target);
    let response = layer.layer(service_fn(app)).oneshot(browser.request("GET", target)).await.unwrap();
    browser.keep(response.headers());
    response
}

async fn opens_with(layer: &GuestLayer, browser: &mut Browser, status: StatusCode) -> Response<String> {
    eventually(async || Some(open(layer, browser, "/page").await).filter(|answer| answer.status() == status)).await
}

/// Signs in at a server that is there.
async fn sign_in(layer: &GuestLayer, browser: &mut Browser, server: &Server) -> Response<String> {
    let response = opens_with(layer, browser, StatusCode::SEE_OTHER).await;
    let query = server.provider.authorize(location(&response));
    let back = open(layer, browser, &format!("/.vestibule/callback?{query}")).await;
    assert_eq!(location(&back), "https://app.example/page");
    opens_with(layer, browser, StatusCode::OK).await
}

#[tokio::test]
async fn the_app_starts_before_the_server_and_lets_people_in_when_it_is_there() {
    let address = free_address().await;
    let server = Server::new(address);
    let layer = door(&server);
    let mut browser = Browser::default();
    let early = open(&layer, &mut browser, "/page").await;
    assert_eq!((early.status(), code(&early)), (StatusCode::SERVICE_UNAVAILABLE, Code::LiveStale));
    let task = listen(&server, address).await;
    assert_eq!(sign_in(&layer, &mut browser, &server).await.body(), "Ann Lee at /page with []");
    task.abort();
}

/// G-14, F-27, L-18: what happens at the server is known at the door, also what happened while it was cut off.
#[tokio::test]
async fn g_14_the_feed_reaches_the_door_and_silence_closes_it() {
    let address = free_address().await;
    let server = Server::new(address);
    let task = listen(&server, address).await;
    let layer = door(&server);
    let mut browser = Browser::default();
    sign_in(&layer, &mut browser, &server).await;

    server.happens(LiveEvent::TermsEpoch { everywhere: 1, apps: Default::default() });
    assert_eq!(code(&opens_with(&layer, &mut browser, StatusCode::SEE_OTHER).await), Code::TermsOwed);
    sign_in(&layer, &mut browser, &server).await;

    // The server goes away: what is known counts for five seconds, then nobody passes.
    server.down.store(true, Ordering::SeqCst);
    sleep(Duration::from_millis(50)).await;
    server.provider.clock.advance(5);
    assert_eq!(open(&layer, &mut browser, "/page").await.status(), StatusCode::OK);
    server.provider.clock.advance(1);
    let closed = open(&layer, &mut browser, "/page").await;
    assert_eq!((closed.status(), code(&closed)), (StatusCode::SERVICE_UNAVAILABLE, Code::LiveStale));

    // Back within the same stream: nothing was missed, nobody has to sign in again.
    server.feed.load().live().heard(server.provider.clock.now());
    server.down.store(false, Ordering::SeqCst);
    opens_with(&layer, &mut browser, StatusCode::OK).await;

    // Back as another process, and something happened meanwhile.
    server.down.store(true, Ordering::SeqCst);
    sleep(Duration::from_millis(50)).await;
    let feed = Server::feed(&server.provider, 2);
    feed.publish(TENANT, LiveEvent::SessionEnded { session: SESSION, forget: at(9_999_999) });
    server.feed.store(Arc::new(feed));
    server.provider.clock.advance(6);
    server.feed.load().live().heard(server.provider.clock.now());
    assert_eq!(open(&layer, &mut browser, "/page").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    server.down.store(false, Ordering::SeqCst);
    assert_eq!(code(&opens_with(&layer, &mut browser, StatusCode::SEE_OTHER).await), Code::LoginRequired);
    task.abort();
}

/// F-31: a server that was restored from a backup ends sessions that it may not know.
#[tokio::test]
async fn f_31_a_restored_server_ends_sessions_at_the_door() {
    let address = free_address().await;
    let server = Server::new(address);
    let task = listen(&server, address).await;
    let layer = door(&server);
    let mut browser = Browser::default();
    sign_in(&layer, &mut browser, &server).await;
    server.happens(LiveEvent::TenantCutoff { sessions_valid_from: server.provider.clock.now() + Duration::from_secs(1) });
    assert_eq!(code(&opens_with(&layer, &mut browser, StatusCode::SEE_OTHER).await), Code::LoginRequired);
    task.abort();
}

/// J-03: tokens with keys that nobody knows do not become requests to the provider.
#[tokio::test]
async fn j_03_unknown_keys_cause_no_storm() {
    let address = free_address().await;
    let server = Server::new(address);
    let task = listen(&server, address).await;
    let layer = door(&server);
    let mut browser = Browser::default();
    opens_with(&layer, &mut browser, StatusCode::SEE_OTHER).await;
    let good = server.provider.tokens(server.provider.ann(0, None)).access_token;
    let stranger = TestProvider::new();
    let foreign = stranger.tokens(stranger.ann(0, None)).access_token;
    let ask = async |token: &str| {
        let request = Request::get("/data").header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap();
        layer.layer(service_fn(app)).oneshot(request).await.unwrap()
    };
    eventually(async || Some(ask(&good).await).filter(|answer| answer.status() == StatusCode::OK)).await;
    let before = server.key_requests.load(Ordering::SeqCst);
    for _ in 0..200 {
        assert_eq!(code(&ask(&foreign).await), Code::TokenInvalid);
    }
    // Discovery by the library reads the key set, too.
    assert!(server.key_requests.load(Ordering::SeqCst) <= before + 2);
    server.provider.clock.advance(31);
    server.feed.load().live().heard(server.provider.clock.now());
    ask(&foreign).await;
    assert!(server.key_requests.load(Ordering::SeqCst) > before);
    task.abort();
}

#[tokio::test]
async fn an_app_with_a_wrong_secret_is_told_so() {
    let address = free_address().await;
    let server = Server::new(address);
    let task = listen(&server, address).await;
    let issuer = server.provider.issuer.clone();
    let layer = GuestLayer::remote(RemoteConfig::new(issuer, APP, Secret::new("wrong"), APP_URL.parse().unwrap())).unwrap();
    let mut browser = Browser::default();
    let response = opens_with(&layer, &mut browser, StatusCode::SEE_OTHER).await;
    let query = server.provider.authorize(location(&response));
    let refused = open(&layer, &mut browser, &format!("/.vestibule/callback?{query}")).await;
    assert_eq!(code(&refused), Code::ClientAuthentication);
    assert!(!refused.body().contains("wrong"));
    task.abort();
}

#[test]
fn an_app_is_an_origin_and_needs_a_runtime() {
    let config = |url: &str| {
        let issuer = TestProvider::new().issuer;
        RemoteConfig::new(issuer, APP, Secret::new(SECRET), url.parse().unwrap())
    };
    assert!(matches!(GuestLayer::remote(config(APP_URL)), Err(SetupError::NoRuntime)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    for url in ["https://app.example/expenses", "https://app.example/?x", "https://app.example/#x"] {
        assert!(matches!(GuestLayer::remote(config(url)), Err(SetupError::AppUrl)), "{url}");
    }
}
