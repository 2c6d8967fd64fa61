//! The same over HTTP/2, with the client of the h2 crate and with frames by hand.

use super::*;

pub(super) mod client {
    //! A client for one HTTP/2 connection.

    use super::*;

    pub(crate) type Sender = h2::client::SendRequest<Bytes>;

    pub(crate) async fn open(
        socket: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    ) -> (Sender, JoinHandle<()>) {
        let (sender, connection) = h2::client::handshake(socket).await.expect("a handshake");
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        (sender, task)
    }

    /// Status and body.
    pub(crate) async fn send(
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

pub(super) fn request(uri: &str) -> axum::http::request::Builder {
    axum::http::Request::builder().version(axum::http::Version::HTTP_2).uri(uri)
}

#[tokio::test]
async fn p_10_http_2_has_the_same_gate() {
    let server = Server::start(|_| {}).await;
    let (sender, _task) = client::open(server.connect().await).await;
    let send = async |build: axum::http::request::Builder| {
        let (status, body) = client::send(&sender, build.body(()).expect("a request"), None).await.expect("an answer");
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
    assert_eq!(send(request(&format!("http://a.example/{}", "a".repeat(9000)))).await, refused(414, "VB6009"));
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
        // RST_STREAM (3) or GOAWAY (7) is the answer; HEADERS (1) would begin a response.
        let mut kind = 4;
        while !matches!(kind, 1 | 3 | 7) {
            let mut head = [0; 9];
            timeout(PATIENCE, socket.read_exact(&mut head)).await.expect("an answer in time").expect("a frame");
            kind = head[3];
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            socket.read_exact(&mut payload).await.expect("a frame");
        }
        assert_ne!(kind, 1, "{}", block.escape_ascii());
        assert_eq!(server.seen.lines(), [""; 0], "{}", block.escape_ascii());
    }
}

#[tokio::test]
async fn d_01_idle_http_2_connections_end() {
    let server = Server::hasty().await;
    let mut half = server.connect().await;
    half.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("written");
    let (sender, task) = client::open(server.connect().await).await;
    let slow = request("http://a.example/slow?600").body(()).expect("a request");
    // In flight for longer than the limit on idle ones.
    assert_eq!(client::send(&sender, slow, None).await.expect("an answer").0, 200);
    timeout(PATIENCE, task).await.expect("the server says goodbye").expect("no panic");
    read(&mut half).await;
}

#[tokio::test]
async fn d_02_http_2_bodies_have_the_same_limits() {
    let server = Server::start(|limits| limits.body = SHORT).await;
    let (sender, _task) = client::open(server.connect().await).await;
    let post = |path: &str| request(&format!("http://a.example{path}")).method("POST").body(()).expect("a request");
    let body = |size: usize| Some(Bytes::from(vec![b'x'; size]));
    assert_eq!(client::send(&sender, post("/"), body(60_000)).await.expect("an answer").0, 200);
    assert_eq!(client::send(&sender, post("/"), body(70_000)).await.expect("an answer").0, 413);
    assert_eq!(client::send(&sender, post("/upload"), body(70_000)).await.expect("an answer").0, 200);
    let mut ready = sender.clone().ready().await.expect("ready");
    let (response, _never_ended) = ready.send_request(post("/"), false).expect("sent");
    assert_eq!(timeout(PATIENCE, response).await.expect("in time").expect("an answer").status(), 408);
}
