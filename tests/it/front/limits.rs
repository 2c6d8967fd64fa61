//! Times, sizes, connections, and the end.

use super::{
    http2::{client, request},
    *,
};

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
    let server = Server::start(|limits| {
        hasty(limits);
        limits.drain = PATIENCE / 2;
    })
    .await;
    let mut socket = server.connect().await;
    socket.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    assert_eq!(socket.read_u8().await.expect("the first octet"), b'H');
    // It ends by its own limit, not by that on draining.
    assert_eq!(server.stop().await, Drained { cut: 0 });
    assert!(read(&mut socket).await.0.len() < 64 << 20);
}

#[tokio::test]
async fn d_01_a_client_that_reads_slowly_is_served() {
    let server = Server::hasty().await;
    let mut socket = server.connect().await;
    socket.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    let mut part = vec![0; 4 << 20];
    for _ in 0..16 {
        socket.read_exact(&mut part).await.expect("the next part");
        sleep(SHORT / 4).await;
    }
    // The head and the body's last octets.
    assert!(!read(&mut socket).await.0.is_empty());
}

#[tokio::test]
async fn d_02_a_refusal_arrives_though_the_body_is_still_being_sent() {
    let server = Server::start(|_| {}).await;
    for head in ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"]
    {
        let mut socket = server.connect().await;
        socket.write_all(&[head.as_bytes(), &[b'x'; 100_000]].concat()).await.expect("written");
        sleep(Duration::from_millis(50)).await;
        socket.write_all(&[b'x'; 1000]).await.expect("the server still listens");
        sleep(Duration::from_millis(50)).await;
        let mut answer = Vec::new();
        timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("an end").expect("no reset");
        assert!(answer.starts_with(b"HTTP/1.1 4") && answer.ends_with(b"}"), "{}", answer.escape_ascii());
    }
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
    server.get(&format!("/{}", "a".repeat(8192)), "").await.is_refused("414", "VB6009");
    server.get(&format!("/{}", "a".repeat(100_000)), "").await.is_refused("414", "VB6009");
    server.get("/", &format!("X: {}\r\n", "a".repeat(17_000))).await.is_refused("431", "VB6008");
    server.get("/", &"X: a\r\n".repeat(63)).await.is_refused("431", "VB6008");
    assert_eq!(server.get("/", &"X: a\r\n".repeat(62)).await.statuses(), ["200"]);
    // A person whose cookies are too large gets a page, since the browser has said so before the cookies.
    let person = server.get("/", &format!("Accept: text/html,*/*\r\nCookie: a={}\r\n", "a".repeat(17_000))).await;
    assert!(person.0.contains("x-html: yes\r\n"), "{}", person.0);
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
    let (sender, _task) = client::open(server.connect().await).await;
    let slow = request("http://a.example/slow?300").body(()).expect("a request");
    let stream = tokio::spawn(async move { client::send(&sender, slow, None).await });
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
        .args(["-c", "ulimit -n 40; exec \"$0\" --exact front::limits::server_for_f_29 --ignored --nocapture"])
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
