//! The HTTP front over loopback sockets: what it refuses, what it lets through, and when it hangs up.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

mod heads;
mod http2;
mod limits;
mod tls;

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue},
    response::Response,
    routing::{any, get, post},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};
use vestibule::{
    cookies::{self, Found},
    http::front::{BodyLimit, Drained, FrontConfig, Limits, Listener, Peer, Tls, problem, serve},
};

/// What the app behind the front has seen, one line a request.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, line: String) {
        self.0.lock().expect("a lock").push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("a lock").clone()
    }

    fn clear(&self) {
        self.0.lock().expect("a lock").clear();
    }
}

struct Server {
    addr: SocketAddr,
    seen: Seen,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Drained>,
}

impl Server {
    async fn start(change: impl FnOnce(&mut Limits)) -> Self {
        Self::start_with(change, None).await
    }

    async fn start_with(change: impl FnOnce(&mut Limits), tls: Option<Tls>) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = tcp.local_addr().expect("an address");
        let mut limits = Limits::default();
        change(&mut limits);
        let (stop, stopped) = oneshot::channel::<()>();
        let seen = Seen::default();
        let config = FrontConfig {
            limits: Arc::new(limits),
            responder: Arc::new(|parts, code| {
                let mut response = problem(parts, code);
                let html = parts.headers.get("accept").is_some_and(|accept| accept == "text/html");
                response.headers_mut().insert("x-html", HeaderValue::from_static(if html { "yes" } else { "no" }));
                response
            }),
            ..FrontConfig::default()
        };
        let service = app(seen.clone());
        let task = tokio::spawn(serve(vec![Listener { tcp, tls }], service, config, async {
            let _ = stopped.await;
        }));
        Self { addr, seen, stop: Some(stop), task }
    }

    /// With short times, so that tests on time do not take any.
    async fn hasty() -> Self {
        Self::start(hasty).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.expect("a connection")
    }

    /// Sends octets and reads to the end of the connection.
    async fn raw(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut socket = self.connect().await;
        let _ = socket.write_all(bytes.as_ref()).await;
        read(&mut socket).await
    }

    /// `GET` of a path with these fields; the connection closes.
    async fn get(&self, path: &str, fields: &str) -> Answer {
        self.raw(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n{fields}\r\n")).await
    }

    async fn stop(mut self) -> Drained {
        drop(self.stop.take());
        timeout(PATIENCE, self.task).await.expect("an end").expect("no panic")
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(250);

fn hasty(limits: &mut Limits) {
    limits.handshake = SHORT;
    limits.first_byte = SHORT;
    limits.head = SHORT;
    limits.idle = SHORT;
    limits.body = SHORT;
    limits.write = SHORT;
    limits.linger = SHORT;
}

/// What came back, as text.
struct Answer(String);

impl Answer {
    /// The status codes of all responses in it.
    fn statuses(&self) -> Vec<&str> {
        let status = |rest: &'_ str| rest.get(2..5).filter(|status| status.bytes().all(|byte| byte.is_ascii_digit())).is_some();
        self.0.split("HTTP/1.").skip(1).filter(|rest| status(rest)).map(|rest| &rest[2..5]).collect()
    }

    #[track_caller]
    fn is_refused(&self, status: &str, code: &str) {
        assert_eq!(self.statuses(), [status], "{}", self.0);
        assert!(self.0.contains("content-type: application/problem+json\r\n"), "{}", self.0);
        assert!(self.0.contains(&format!("\"code\":\"{code}\"")), "{}", self.0);
    }
}

/// Everything until the server hangs up, which it must.
async fn read(socket: &mut (impl AsyncReadExt + Unpin)) -> Answer {
    let mut bytes = Vec::new();
    // A reset after the answer is an end, too.
    let _ = timeout(PATIENCE, socket.read_to_end(&mut bytes)).await.expect("the server hangs up");
    Answer(String::from_utf8_lossy(&bytes).into_owned())
}

/// One response with a `content-length`, as far as its body.
async fn read_one(socket: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut text = String::new();
    timeout(PATIENCE, async {
        loop {
            let byte = socket.read_u8().await.expect("a response");
            text.push(char::from(byte));
            if let Some(head) = text.find("\r\n\r\n") {
                let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
                let length: usize = length.map_or(0, |digits| digits.parse().expect("a number"));
                let mut body = vec![0; length];
                socket.read_exact(&mut body).await.expect("a body");
                assert_eq!(head + 4, text.len());
                return text + String::from_utf8_lossy(&body).as_ref();
            }
        }
    })
    .await
    .expect("a response in time")
}

fn app(seen: Seen) -> Router {
    async fn echo(State(seen): State<Seen>, request: Request) -> Result<String, Response> {
        use axum::{extract::FromRequest, response::IntoResponse};
        let line = format!("{} {}", request.method(), request.uri());
        seen.note(line.clone());
        let body = Bytes::from_request(request, &()).await.map_err(IntoResponse::into_response)?;
        Ok(format!("{line} {}", body.len()))
    }
    async fn slow(State(seen): State<Seen>, request: Request) -> &'static str {
        seen.note("slow".to_owned());
        let millis = request.uri().query().and_then(|query| query.parse().ok()).unwrap_or(0);
        sleep(Duration::from_millis(millis)).await;
        "slow"
    }
    async fn cookie(headers: HeaderMap) -> String {
        match cookies::find(&headers, b"__Host-vb-s-contoso") {
            Found::None => "none".to_owned(),
            Found::One(value) => format!("one {}", value.escape_ascii()),
            Found::Repeated => "repeated".to_owned(),
        }
    }
    async fn fields(headers: HeaderMap) -> String {
        let mut names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names.join(" ")
    }
    async fn peer(ConnectInfo(addr): ConnectInfo<SocketAddr>, request: Request) -> String {
        let peer = request.extensions().get::<Peer>().expect("a peer");
        assert_eq!(peer.addr, addr);
        format!("{} tls={}", addr.ip(), peer.tls)
    }
    async fn large() -> Vec<u8> {
        vec![b'x'; 64 << 20]
    }
    Router::new()
        .route("/slow", any(slow))
        .route("/cookie", get(cookie))
        .route("/fields", get(fields))
        .route("/peer", get(peer))
        .route("/large", get(large))
        .route("/unread", post(|| async { "unread" }))
        .route("/upload", any(echo).layer(BodyLimit(1 << 20)))
        .fallback(echo)
        .with_state(seen)
}
