//! Which heads, framings, paths and cookies reach the app, and as what.

use super::{
    http2::{client, request},
    *,
};

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

#[tokio::test]
async fn h_03_foldable_field_names_are_dropped() {
    let server = Server::start(|_| {}).await;
    let answer = server.get("/fields", "X_Guest_Email: evil\r\nx-guest_email: evil\r\nX-Guest.Email: evil\r\nX-Ok: 1\r\n").await;
    assert!(answer.0.ends_with("\r\n\r\nconnection host x-ok"), "{}", answer.0);
}

#[tokio::test]
async fn d_03_compressed_bodies_are_refused() {
    let server = Server::start(|_| {}).await;
    server.get("/", "Content-Encoding: gzip\r\n").await.is_refused("415", "VB6005");
    server.get("/", "Content-Encoding: identity\r\n").await.is_refused("415", "VB6005");
    assert_eq!(server.seen.lines(), [""; 0]);
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
    let (sender, _task) = client::open(server.connect().await).await;
    let crumbs =
        request("http://a.example/cookie").header("cookie", "__Host-vb-s-contoso=a").header("cookie", "__Host-vb-s-contoso=b");
    let answer = client::send(&sender, crumbs.body(()).expect("a request"), None).await.expect("an answer");
    assert_eq!(answer, (200, "repeated".to_owned()));
}
