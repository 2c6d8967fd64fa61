//! The HTTP front over loopback sockets: what it refuses, what it lets through, and when it hangs up.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

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
                return text + &String::from_utf8_lossy(&body);
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

/// The paths of the corpus and whether they are in order.
fn corpus() -> Vec<(bool, Vec<u8>)> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/paths.txt")).expect("the corpus");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (answer, path) = line.split_once('\t').expect("an answer and a path");
            let mut octets = Vec::new();
            let mut parts = path.split("\\x");
            octets.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
            for part in parts {
                octets.push(u8::from_str_radix(&part[..2], 16).expect("hexadecimal"));
                octets.extend_from_slice(&part.as_bytes()[2..]);
            }
            (answer == "accept", octets)
        })
        .collect()
}

#[tokio::test]
async fn p_01_ambiguous_paths_do_not_reach_the_app() {
    let server = Server::start(|_| {}).await;
    for (_, path) in corpus().iter().filter(|(accept, path)| !accept && !path.contains(&b'?')) {
        let request = [b"GET ", &path[..], b" HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"].concat();
        server.raw(request).await.is_refused("400", "VB6001");
        assert_eq!(server.seen.lines(), [""; 0], "{}", path.escape_ascii());
    }
}

#[tokio::test]
async fn p_02_the_app_sees_the_octets_that_were_judged() {
    let server = Server::start(|_| {}).await;
    for (_, path) in corpus().iter().filter(|(accept, _)| *accept) {
        for query in ["", "?", "?a=/../%2e%2f//;b&c=\\&d=%"] {
            server.seen.clear();
            let target = format!("{}{query}", String::from_utf8_lossy(path));
            assert_eq!(server.get(&target, "").await.statuses(), ["200"], "{target}");
            assert_eq!(server.seen.lines(), [format!("GET {target}")]);
        }
    }
}

#[tokio::test]
async fn p_03_rules_see_the_path_only_and_fragments_are_refused() {
    let server = Server::start(|_| {}).await;
    server.get("/public#/admin", "").await.is_refused("400", "VB6001");
    server.get("/#", "").await.is_refused("400", "VB6001");
    assert_eq!(server.seen.lines(), [""; 0]);
    server.get("/admin?x=/public", "").await;
    assert_eq!(server.seen.lines(), ["GET /admin?x=/public"]);
}

#[tokio::test]
async fn p_04_host_and_target_are_compared_without_case() {
    let server = Server::start(|_| {}).await;
    let get = async |target: &str, host: &str| {
        server.raw(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
    };
    for (target, host) in
        [("http://a.EXAMPLE/x", "A.example"), ("https://a.example:8443/", "a.example:8443"), ("/", "A.EXAMPLE.")]
    {
        assert_eq!(get(target, host).await.statuses(), ["200"], "{target} {host}");
    }
    for host in ["good@evil.example", "good evil", "", "a.example:", "a.example:99999", "a.example/x", "[::1", "\u{e9}.example"] {
        get("/", host).await.is_refused("400", "VB6001");
    }
}

#[tokio::test]
async fn p_05_other_methods_are_refused_with_the_list_of_ours() {
    let server = Server::start(|_| {}).await;
    for method in ["get", "FOO", "TRACE", "PROPFIND", "CONNECT"] {
        let target = if method == "CONNECT" { "a.example:443" } else { "/" };
        let request = format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
        let answer = server.raw(request).await;
        answer.is_refused("405", "VB6002");
        assert!(answer.0.contains("allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"), "{}", answer.0);
    }
    server.raw("OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n").await.is_refused("400", "VB6001");
    assert_eq!(server.seen.lines(), [""; 0]);
}

/// Followed by a request that must never be seen.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn p_08_ambiguous_heads_are_refused_and_end_the_connection() {
    let server = Server::start(|_| {}).await;
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ] {
        let answer = server.raw(format!("{head}{SMUGGLED}")).await;
        answer.is_refused("400", "VB6001");
        assert!(answer.0.contains("connection: close\r\n"), "{}", answer.0);
        assert_eq!(server.seen.lines(), [""; 0], "{}", head.escape_debug());
    }
}

#[tokio::test]
async fn p_08_a_refusal_waits_for_the_answers_before_it() {
    let server = Server::start(|_| {}).await;
    let answer = server
        .raw(format!("GET /slow?100 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n{SMUGGLED}"))
        .await;
    assert_eq!(answer.statuses(), ["200", "400"], "{}", answer.0);
    assert_eq!(server.seen.lines(), ["slow"]);
}

#[tokio::test]
async fn p_08_a_broken_body_ends_the_connection() {
    let server = Server::start(|_| {}).await;
    for body in ["5\r\nhello\n0\r\n\r\n", "5;a=b\nhello\r\n0\r\n\r\n", "5;\r\nhello\r\n0\r\n\r\n", "zz\r\n", "0\r\nX: \0\r\n\r\n"]
    {
        server.seen.clear();
        let answer =
            server.raw(format!("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}{SMUGGLED}")).await;
        assert!(matches!(answer.statuses()[..], [] | ["400"]), "{}", answer.0);
        assert!(!answer.0.contains("smuggled"));
        assert!(!server.seen.lines().iter().any(|line| line.contains("smuggled")), "{body}");
    }
}

#[tokio::test]
async fn p_08_requests_in_one_write_are_answered_in_turn() {
    let server = Server::start(|_| {}).await;
    let answer = server
        .raw(
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\n\r\nGET /inside HTTP/1.1\r\nHost: inside\r\n\r\n\
             POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n\
             GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert_eq!(answer.statuses(), ["200"; 4], "{}", answer.0);
    assert_eq!(server.seen.lines(), ["GET /1", "POST /2", "POST /3", "GET /4"]);
    assert!(answer.0.contains("POST /2 38") && answer.0.contains("POST /3 15"), "{}", answer.0);
}

/// A client that speaks octet by octet is understood like any other.
#[tokio::test]
async fn p_08_where_packets_end_does_not_matter() {
    let server = Server::start(|_| {}).await;
    let stream = "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut socket = server.connect().await;
    socket.set_nodelay(true).expect("an option");
    for byte in stream.bytes() {
        socket.write_u8(byte).await.expect("written");
        tokio::task::yield_now().await;
    }
    assert_eq!(read(&mut socket).await.statuses(), ["200", "200"]);
    assert_eq!(server.seen.lines(), ["POST /1", "GET /2"]);
}

#[tokio::test]
async fn p_09_a_target_of_another_host_is_refused() {
    let server = Server::start(|_| {}).await;
    for target in [
        "http://evil.example/x",
        "http://a.example:80/",
        "http://a.example@evil.example/",
        "http://evil.example@a.example/",
        "ftp://a.example/",
        "http:///x",
        "//evil.example/x",
        "evil.example:443",
    ] {
        server.get(target, "").await.is_refused("400", "VB6001");
    }
    assert_eq!(server.seen.lines(), [""; 0]);
}

mod h2_client {
    //! A client for one HTTP/2 connection.

    use super::*;

    pub(super) type Sender = h2::client::SendRequest<Bytes>;

    pub(super) async fn open(
        socket: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    ) -> (Sender, JoinHandle<()>) {
        let (sender, connection) = h2::client::handshake(socket).await.expect("a handshake");
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        (sender, task)
    }

    /// Status and body.
    pub(super) async fn send(
        sender: &Sender,
        request: axum::http::Request<()>,
        body: Option<Bytes>,
    ) -> Result<(u16, String), h2::Error> {
        let mut sender = sender.clone().ready().await?;
        let (response, mut stream) = sender.send_request(request, body.is_none())?;
        if let Some(body) = body {
            stream.send_data(body, true)?;
        }
        let response = timeout(PATIENCE, response).await.expect("a response in time")?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut text = Vec::new();
        while let Some(data) = body.data().await {
            let data = data?;
            let _ = body.flow_control().release_capacity(data.len());
            text.extend_from_slice(&data);
        }
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    }
}

fn request(uri: &str) -> axum::http::request::Builder {
    axum::http::Request::builder().version(axum::http::Version::HTTP_2).uri(uri)
}

#[tokio::test]
async fn p_10_http_2_has_the_same_gate() {
    let server = Server::start(|_| {}).await;
    let (sender, _task) = h2_client::open(server.connect().await).await;
    let send = async |build: axum::http::request::Builder| {
        let (status, body) = h2_client::send(&sender, build.body(()).expect("a request"), None).await.expect("an answer");
        (status, body.split("\"code\":\"").nth(1).map(|rest| rest[..6].to_owned()))
    };
    let refused = |status: u16, code: &str| (status, Some(code.to_owned()));
    assert_eq!(send(request("http://a.example/x").header("host", "A.EXAMPLE")).await, (200, None));
    assert_eq!(send(request("http://a.example/").header("host", "evil.example")).await, refused(400, "VB6001"));
    assert_eq!(
        send(request("http://a.example/").header("host", "a.example").header("host", "a.example")).await,
        refused(400, "VB6001")
    );
    assert_eq!(send(request("http://good@evil.example/")).await, refused(400, "VB6001"));
    for path in ["/a/../b", "/a//b", "/a%2fb", "/a%2E%2E/b", "/a;b", "/a\\b", "/%00", "/%252e", "/%zz"] {
        assert_eq!(send(request(&format!("http://a.example{path}"))).await, refused(400, "VB6001"), "{path}");
    }
    for method in ["get", "FOO", "TRACE"] {
        assert_eq!(send(request("http://a.example/").method(method)).await, refused(405, "VB6002"), "{method}");
    }
    assert_eq!(send(request("http://a.example/").header("content-encoding", "gzip")).await, refused(415, "VB6005"));
    assert_eq!(send(request(&format!("http://a.example/{}", "a".repeat(9000)))).await, refused(414, "VB4009"));
    assert_eq!(send(request("http://a.example/").header("x-a", "a".repeat(17_000))).await, refused(431, "VB6008"));
    let many = (0..70).fold(request("http://a.example/"), |request, n| request.header(format!("x-{n}"), "1"));
    assert_eq!(send(many).await, refused(431, "VB6008"));
    let crumbs = (0..70).fold(request("http://a.example/crumbs"), |request, n| request.header("cookie", format!("c{n}=1")));
    assert_eq!(send(crumbs).await, (200, None));
    assert_eq!(server.seen.lines(), ["GET http://a.example/x", "GET http://a.example/crumbs"]);
    // The connection has survived all of it.
    assert_eq!(send(request("http://a.example/last")).await, (200, None));
}

#[tokio::test]
async fn p_10_malformed_http_2_fields_do_not_reach_the_app() {
    let server = Server::start(|_| {}).await;
    let field = |name: &[u8], value: &[u8]| {
        let (name_length, value_length) = (u8::try_from(name.len()).expect("short"), u8::try_from(value.len()).expect("short"));
        [&[0, name_length], name, &[value_length], value].concat()
    };
    let pseudo =
        [field(b":method", b"GET"), field(b":scheme", b"http"), field(b":authority", b"a.example"), field(b":path", b"/")]
            .concat();
    for block in [
        [pseudo.clone(), field(b"X-Upper", b"a")].concat(),
        [pseudo.clone(), field(b"x-a", b"b\r\nx-c: d")].concat(),
        [pseudo.clone(), field(b"x\r\na", b"b")].concat(),
        [pseudo.clone(), field(b"connection", b"close")].concat(),
        [pseudo.clone(), field(b"transfer-encoding", b"chunked")].concat(),
        [field(b"x-a", b"b"), pseudo.clone()].concat(),
        [pseudo.clone(), field(b":path", b"/b")].concat(),
        [pseudo.clone(), field(b":status", b"200")].concat(),
    ] {
        let length = u8::try_from(block.len()).expect("short");
        let headers = [&[0, 0, length, 1, 5, 0, 0, 0, 1], &block[..]].concat();
        let bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", &headers[..]].concat();
        let mut socket = server.connect().await;
        socket.write_all(&bytes).await.expect("written");
        // RST_STREAM (3) or GOAWAY (7) is the answer, HEADERS (1) would be one of the app or the gate.
        let mut kind = 4;
        while !matches!(kind, 1 | 3 | 7) {
            let mut head = [0; 9];
            timeout(PATIENCE, socket.read_exact(&mut head)).await.expect("an answer in time").expect("a frame");
            kind = head[3];
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            socket.read_exact(&mut payload).await.expect("a frame");
        }
        assert!(kind != 1 || server.seen.lines().is_empty(), "{}", block.escape_ascii());
        assert_eq!(server.seen.lines(), [""; 0], "{}", block.escape_ascii());
    }
}

#[tokio::test]
async fn h_03_foldable_field_names_are_dropped() {
    let server = Server::start(|_| {}).await;
    let answer = server.get("/fields", "X_Guest_Email: evil\r\nx-guest_email: evil\r\nX-Guest.Email: evil\r\nX-Ok: 1\r\n").await;
    assert!(answer.0.ends_with("\r\n\r\nconnection host x-ok"), "{}", answer.0);
}

#[tokio::test]
async fn d_01_slow_clients_are_hung_up_on() {
    let server = Server::hasty().await;
    let served = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let cases = [
        ("no bytes", "", &[][..]),
        ("half a method", "GE", &["408"]),
        ("half a head", "GET / HTTP/1.1\r\nHost: a\r\nX", &["408"]),
        ("half an HTTP/2 preface", "PRI * HTTP/2.0\r\n", &["408"]),
        ("idle after a response", served, &["200"]),
        ("half a second head", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", &["200", "408"]),
        ("half a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", &["408"]),
        ("half a chunk size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5", &["408"]),
        ("a body nobody reads", "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", &["200"]),
    ];
    let all = cases.map(|(case, bytes, statuses)| {
        let server = &server;
        async move {
            let answer = server.raw(bytes).await;
            assert_eq!(answer.statuses(), statuses, "{case}: {}", answer.0);
        }
    });
    futures_util::future::join_all(all).await;
}

#[tokio::test]
async fn d_01_a_byte_now_and_then_wins_no_time() {
    let server = Server::hasty().await;
    for start in ["GET /", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"] {
        let mut socket = server.connect().await;
        socket.write_all(start.as_bytes()).await.expect("written");
        let (mut reader, mut writer) = socket.split();
        let drip = async {
            loop {
                sleep(Duration::from_millis(20)).await;
                if writer.write_all(b"a").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            answer = read(&mut reader) => assert!(matches!(answer.statuses()[..], [] | ["408"]), "{}", answer.0),
            () = drip => {}
        }
    }
}

#[tokio::test]
async fn d_01_a_client_that_does_not_read_is_hung_up_on() {
    let server = Server::hasty().await;
    let mut socket = server.connect().await;
    socket.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    sleep(SHORT * 4).await;
    assert!(read(&mut socket).await.0.len() < 64 << 20);
}

#[tokio::test]
async fn d_01_idle_http_2_connections_end() {
    let server = Server::hasty().await;
    let mut half = server.connect().await;
    half.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("written");
    let (sender, task) = h2_client::open(server.connect().await).await;
    let slow = request("http://a.example/slow?600").body(()).expect("a request");
    // In flight for longer than the limit on idle ones.
    assert_eq!(h2_client::send(&sender, slow, None).await.expect("an answer").0, 200);
    timeout(PATIENCE, task).await.expect("the server says goodbye").expect("no panic");
    read(&mut half).await;
}

#[tokio::test]
async fn d_01_half_open_connections_do_not_keep_others_out() {
    let server = Server::start(|limits| limits.connections_per_address = 1000).await;
    let mut open = Vec::new();
    for _ in 0..300 {
        let mut socket = server.connect().await;
        socket.write_all(b"GET / HT").await.expect("written");
        open.push(socket);
    }
    assert_eq!(server.get("/", "").await.statuses(), ["200"]);
}

#[tokio::test]
async fn d_01_connections_of_one_address_are_counted() {
    let server = Server::start(|limits| limits.connections_per_address = 2).await;
    let one = server.connect().await;
    let mut two = server.connect().await;
    two.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    read_one(&mut two).await;
    assert_eq!(read(&mut server.connect().await).await.0, "");
    drop(one);
    timeout(PATIENCE, async { while server.get("/", "").await.statuses() != ["200"] {} }).await.expect("a free slot");

    let proxied = Server::start(|limits| {
        limits.connections_per_address = 0;
        limits.uncounted = vec!["127.0.0.1".parse().expect("an address")];
    })
    .await;
    assert_eq!(proxied.get("/", "").await.statuses(), ["200"]);
}

#[tokio::test]
async fn d_01_connections_in_all_are_bounded_and_the_rest_waits() {
    let server = Server::start(|limits| limits.connections = 1).await;
    let mut one = server.connect().await;
    one.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    read_one(&mut one).await;
    let next = server.get("/", "");
    tokio::pin!(next);
    assert!(timeout(Duration::from_millis(100), &mut next).await.is_err());
    drop(one);
    assert_eq!(timeout(PATIENCE, next).await.expect("a turn").statuses(), ["200"]);
}

#[tokio::test]
async fn d_02_a_body_without_end_is_cut() {
    let server = Server::start(|_| {}).await;
    let mut socket = server.connect().await;
    socket.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await.expect("written");
    let chunk = [b"1000\r\n", &[b'x'; 0x1000][..], b"\r\n"].concat();
    let (mut reader, mut writer) = socket.split();
    let flood = async {
        while writer.write_all(&chunk).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = read(&mut reader) => answer.is_refused("413", "VB6004"),
        () = flood => {}
    }
}

#[tokio::test]
async fn d_02_each_route_has_its_body_limit() {
    let server = Server::start(|_| {}).await;
    let post = async |path: &str, size: usize, sent: usize, fields: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}\r\n{fields}\r\n");
        server.raw([head.as_bytes(), &vec![b'x'; sent]].concat()).await
    };
    assert_eq!(post("/", 64 << 10, 64 << 10, "").await.statuses(), ["200"]);
    post("/", (64 << 10) + 1, (64 << 10) + 1, "").await.is_refused("413", "VB6004");
    assert_eq!(post("/upload", 1 << 20, 1 << 20, "").await.statuses(), ["200"]);
    post("/upload", (1 << 20) + 1, (1 << 20) + 1, "").await.is_refused("413", "VB6004");
    // What says that it will be too large is not read at all, nor asked for.
    post("/", 999_999_999, 0, "").await.is_refused("413", "VB6004");
    post("/", 999_999_999, 0, "Expect: 100-continue\r\n").await.is_refused("413", "VB6004");
    assert_eq!(post("/", 3, 3, "Expect: 100-continue\r\n").await.statuses().last(), Some(&"200"));
}

#[tokio::test]
async fn d_02_http_2_bodies_have_the_same_limits() {
    let server = Server::start(|limits| limits.body = SHORT).await;
    let (sender, _task) = h2_client::open(server.connect().await).await;
    let post = |path: &str| request(&format!("http://a.example{path}")).method("POST").body(()).expect("a request");
    let body = |size: usize| Some(Bytes::from(vec![b'x'; size]));
    assert_eq!(h2_client::send(&sender, post("/"), body(60_000)).await.expect("an answer").0, 200);
    assert_eq!(h2_client::send(&sender, post("/"), body(70_000)).await.expect("an answer").0, 413);
    assert_eq!(h2_client::send(&sender, post("/upload"), body(70_000)).await.expect("an answer").0, 200);
    let mut ready = sender.clone().ready().await.expect("ready");
    let (response, _never_ended) = ready.send_request(post("/"), false).expect("sent");
    assert_eq!(timeout(PATIENCE, response).await.expect("in time").expect("an answer").status(), 408);
}

#[tokio::test]
async fn d_03_compressed_bodies_are_refused() {
    let server = Server::start(|_| {}).await;
    server.get("/", "Content-Encoding: gzip\r\n").await.is_refused("415", "VB6005");
    server.get("/", "Content-Encoding: identity\r\n").await.is_refused("415", "VB6005");
    assert_eq!(server.seen.lines(), [""; 0]);
}

#[tokio::test]
async fn d_07_a_token_of_a_million_dots_is_not_split() {
    let server = Server::start(|_| {}).await;
    let dots = ".".repeat(1 << 20);
    server.get("/", &format!("Authorization: Bearer {dots}\r\n")).await.is_refused("431", "VB6008");
    let form = format!("POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{dots}", dots.len());
    server.raw(form).await.is_refused("413", "VB6004");
}

#[tokio::test]
async fn d_11_large_heads_have_their_own_answer() {
    let server = Server::start(|_| {}).await;
    server.get(&format!("/{}", "a".repeat(8192)), "").await.is_refused("414", "VB4009");
    server.get(&format!("/{}", "a".repeat(100_000)), "").await.is_refused("414", "VB4009");
    server.get("/", &format!("X: {}\r\n", "a".repeat(17_000))).await.is_refused("431", "VB6008");
    server.get("/", &"X: a\r\n".repeat(63)).await.is_refused("431", "VB6008");
    assert_eq!(server.get("/", &"X: a\r\n".repeat(62)).await.statuses(), ["200"]);
    // A person whose cookies are too large gets a page, since the browser has said so before the cookies.
    let person = server.get("/", &format!("Accept: text/html,*/*\r\nCookie: a={}\r\n", "a".repeat(17_000))).await;
    assert!(person.0.contains("x-html: yes\r\n"), "{}", person.0);
}

#[tokio::test]
async fn b_01_b_02_b_04_our_cookie_is_seen_for_its_exact_octets_only() {
    let server = Server::start(|_| {}).await;
    for (cookie, expected) in [
        (&b"__Host-vb-s-contoso=mine"[..], "one mine"),
        (b"a=1; __Host-vb-s-contoso=mine; b=\xff\xfe; \xc3\xa9=1", "one mine"),
        (b"\x85__Host-vb-s-contoso=evil", "none"),
        (b"\xa0__Host-vb-s-contoso=evil; __Host-vb-s-contoso=mine", "one mine"),
        (b"\xe2\x80\x80__Host-vb-s-contoso=evil; __Host-vb-s-contoso=mine", "one mine"),
        (b"__Host-vb-s-contoso=mine; %5F%5FHost-vb-s-contoso=evil", "one mine"),
        (b"__Host-vb-s-contoso=mine; __Host-vb-s-contoso=evil", "repeated"),
    ] {
        let request = [b"GET /cookie HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: ", cookie, b"\r\n\r\n"].concat();
        let answer = server.raw(request).await;
        assert!(answer.0.ends_with(&format!("\r\n\r\n{expected}")), "{}: {}", cookie.escape_ascii(), answer.0);
    }
    let (sender, _task) = h2_client::open(server.connect().await).await;
    let crumbs =
        request("http://a.example/cookie").header("cookie", "__Host-vb-s-contoso=a").header("cookie", "__Host-vb-s-contoso=b");
    let answer = h2_client::send(&sender, crumbs.body(()).expect("a request"), None).await.expect("an answer");
    assert_eq!(answer, (200, "repeated".to_owned()));
}

#[tokio::test]
async fn the_peer_is_known() {
    let server = Server::start(|_| {}).await;
    assert!(server.get("/peer", "").await.0.ends_with("127.0.0.1 tls=false"));
}

#[tokio::test]
async fn f_21_requests_in_flight_end_and_idle_connections_close() {
    let server = Server::start(|_| {}).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    read_one(&mut idle).await;
    let mut half = server.connect().await;
    half.write_all(b"GET / HTTP").await.expect("written");
    let silent = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow?300 HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    let (sender, _task) = h2_client::open(server.connect().await).await;
    let slow = request("http://a.example/slow?300").body(()).expect("a request");
    let stream = tokio::spawn(async move { h2_client::send(&sender, slow, None).await });
    timeout(PATIENCE, async {
        while server.seen.lines().len() < 3 {
            sleep(Duration::from_millis(5)).await
        }
    })
    .await
    .expect("both begun");

    let addr = server.addr;
    assert_eq!(server.stop().await, Drained { cut: 0 });
    let answer = read(&mut busy).await;
    assert_eq!(answer.statuses(), ["200"]);
    assert!(answer.0.contains("connection: close\r\n"), "{}", answer.0);
    assert_eq!(stream.await.expect("no panic").expect("an answer").0, 200);
    assert_eq!(read(&mut idle).await.0, "");
    assert_eq!(read(&mut half).await.0, "");
    drop(silent);
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn f_21_draining_has_an_end() {
    let server = Server::start(|limits| limits.drain = SHORT).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow?60000 HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    timeout(PATIENCE, async {
        while server.seen.lines().is_empty() {
            sleep(Duration::from_millis(5)).await
        }
    })
    .await
    .expect("begun");
    assert_eq!(server.stop().await, Drained { cut: 1 });
    assert_eq!(read(&mut busy).await.0, "");
}

mod tls {
    use std::sync::Arc;

    use rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::{TlsConnector, client::TlsStream};

    use super::*;

    /// Writes a fresh certificate and its key, and returns it.
    fn certificate(folder: &Path) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
        std::fs::write(folder.join("cert.pem"), made.cert.pem()).expect("written");
        made.cert.into()
    }

    async fn connect(server: &Server, trusted: &CertificateDer<'static>, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trusted.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await
    }

    async fn start(folder: &Path) -> Server {
        let tls = Tls::open(folder.join("cert.pem"), folder.join("key.pem")).expect("usable files");
        let change = |limits: &mut Limits| {
            hasty(limits);
            limits.certificate_poll = Duration::from_millis(20);
        };
        Server::start_with(change, Some(tls)).await
    }

    #[tokio::test]
    async fn alpn_chooses_between_http_2_and_http_1() {
        let folder = tempfile::tempdir().expect("a folder");
        let trusted = certificate(folder.path());
        let server = start(folder.path()).await;

        let socket = connect(&server, &trusted, &["h2", "http/1.1"]).await.expect("a handshake");
        assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, _task) = h2_client::open(socket).await;
        let peer = request("https://localhost/peer").body(()).expect("a request");
        assert_eq!(h2_client::send(&sender, peer, None).await.expect("an answer"), (200, "127.0.0.1 tls=true".to_owned()));

        let mut socket = connect(&server, &trusted, &["http/1.1"]).await.expect("a handshake");
        assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        socket.write_all(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\nHost: a\n\n").await.expect("written");
        assert_eq!(read(&mut socket).await.statuses(), ["200", "400"]);
        assert_eq!(server.stop().await, Drained { cut: 0 });
    }

    #[tokio::test]
    async fn d_01_a_handshake_has_its_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let trusted = certificate(folder.path());
        let server = start(folder.path()).await;
        assert_eq!(read(&mut server.connect().await).await.0, "");
        let mut half = server.connect().await;
        half.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.expect("written");
        read(&mut half).await;
        // After the handshake the first byte has its time, too.
        let mut silent = connect(&server, &trusted, &["h2"]).await.expect("a handshake");
        assert_eq!(read(&mut silent).await.0, "");
    }

    #[tokio::test]
    async fn f_32_a_new_certificate_is_taken_up_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = certificate(folder.path());
        let server = start(folder.path()).await;
        let mut kept = connect(&server, &first, &["http/1.1"]).await.expect("a handshake");

        let second = certificate(folder.path());
        let taken = async {
            while connect(&server, &second, &[]).await.is_err() {
                sleep(Duration::from_millis(10)).await
            }
        };
        timeout(PATIENCE, taken).await.expect("the new certificate");
        assert!(connect(&server, &first, &[]).await.is_err());
        // A connection that was there before goes on.
        kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("written");
        assert_eq!(read(&mut kept).await.statuses(), ["200"]);

        std::fs::write(folder.path().join("cert.pem"), "-----BEGIN CERTIFICATE-----\n").expect("written");
        sleep(Duration::from_millis(100)).await;
        connect(&server, &second, &[]).await.expect("still the good one");
    }
}

/// F-29: without descriptors the loop waits, and serves again when there are some.
#[test]
fn f_29_running_out_of_descriptors_does_not_end_the_loop() {
    use std::{
        io::{BufRead, BufReader, Read, Write},
        net::TcpStream,
        process::{Command, Stdio},
    };
    let this = std::env::current_exe().expect("this test");
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 40; exec \"$0\" --exact front::server_for_f_29 --ignored --nocapture"])
        .arg(this)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let addr = lines.find_map(|line| line.ok()?.split_once("listening on ")?.1.parse::<SocketAddr>().ok()).expect("an address");
    let mut served = 0;
    for round in 0..3 {
        let crowd: Vec<_> = (0..100).map(|_| TcpStream::connect(addr).expect("a connection")).collect();
        std::thread::sleep(Duration::from_millis(100));
        drop(crowd);
        let mut socket = TcpStream::connect(addr).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("written");
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap_or_else(|error| panic!("round {round}: {error}"));
        served += usize::from(text.starts_with("HTTP/1.1 200"));
    }
    drop(child.stdin.take());
    child.wait().expect("an end");
    assert_eq!(served, 3);
}

#[tokio::test]
#[ignore = "the child of f_29"]
async fn server_for_f_29() {
    let server = Server::start(|_| {}).await;
    println!("\nlistening on {}", server.addr);
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await;
}
