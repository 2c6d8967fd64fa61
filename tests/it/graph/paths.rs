//! hostile spellings of paths lead nowhere.

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::api::Api;
use crate::support::journey::shared_demo;

/// Bytes of a line of the corpus: `\xHH` stands for a raw octet.
fn octets(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).expect("two digits"));
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// The answer to a raw request.
async fn answer(authority: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(authority.replace("localhost", "127.0.0.1")).await.expect("a connection");
    stream.write_all(request).await.expect("written");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of the answer to a raw `GET`.
async fn status(authority: &str, token: Option<&str>, path: &[u8]) -> u16 {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let rest = format!(" HTTP/1.1\r\nHost: {authority}\r\n{authorization}Connection: close\r\n\r\n");
    let answer = answer(authority, &[b"GET ", path, rest.as_bytes()].concat()).await;
    answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Whatever is refused before the directory API has seen it is refused in its words, since its clients read no others.
#[tokio::test]
async fn what_is_refused_in_front_of_the_api_has_its_envelope() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &[]).await;
    let authority = demo.origin().split("//").nth(1).expect("an authority").to_owned();
    let (long, wide) = ("a".repeat(9_000), format!("X: {}\r\n", "a".repeat(17_000)));
    for (line, fields, status, code) in [
        (format!("GET /v1.0/users?$filter={long}"), "", 414, "VB6009"),
        (format!("GET /v1.0/{}", long.repeat(10)), "", 414, "VB6009"),
        ("GET /v1.0/users".into(), wide.as_str(), 431, "VB6008"),
        ("GET /v1.0/users".into(), "Host: b.example\r\n", 400, "VB6001"),
        ("GET /v1.0/users#a".into(), "", 400, "VB6001"),
        ("GET /v1.0//users".into(), "", 400, "VB6001"),
        ("POST /v1.0/invitations".into(), "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400, "VB6001"),
        ("POST /v1.0/invitations".into(), "Content-Length: 2000000\r\n", 413, "VB6004"),
        ("POST /v1.0/invitations".into(), "Content-Encoding: gzip\r\n", 415, "VB6005"),
        ("TRACE /v1.0/users".into(), "", 405, "VB6002"),
        ("GET /v1.0/".into(), "", 404, "VB6003"),
    ] {
        for accept in ["*/*", "text/html"] {
            let head = format!("{line} HTTP/1.1\r\nHost: {authority}\r\nAccept: {accept}\r\nConnection: close\r\n{fields}\r\n");
            let line: String = line.chars().take(40).collect();
            let answer = answer(&authority, head.as_bytes()).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{line}: {answer}"));
            let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{line}: {answer}"));
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {head}");
            assert!(head.contains("application/json;odata"), "{line}: {head}");
            api.document.check("GET", "/users", status, &body);
            let inner = &body["error"]["innerError"];
            assert_eq!(inner["vbCode"], code, "{line}: {body}");
            assert!(inner["request-id"].as_str().is_some_and(|id| id.len() == 16 && head.contains(id)), "{line}: {answer}");
            assert_eq!(head.to_ascii_lowercase().contains("\r\nallow: "), status == 405, "{line}: {head}");
        }
    }
    // Beside the API nothing is different.
    let beside = format!("GET /v1.0x?{long} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    assert!(answer(&authority, beside.as_bytes()).await.contains("application/problem+json"));
}

/// whatever a path is decoded to by whom, a request is judged by the route that it takes, and by nothing else of it.
#[tokio::test]
async fn a_04_no_spelling_of_a_path_gets_past_its_permission() {
    let demo = shared_demo().await;
    let (reader, nobody) = (Api::with(&demo, &["User.Read.All"]).await, Api::with(&demo, &[]).await);
    let authority = demo.origin().split("//").nth(1).expect("an authority").to_owned();
    assert_eq!(status(&authority, Some(&reader.token), b"/v1.0/users").await, 200);
    let corpus = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/paths.txt")).expect("the corpus");
    let corpus = corpus.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'));
    let spellings = [
        "/%75sers",
        "/users%20",
        "/users/",
        "//users",
        "/users%2f",
        "/users;x=1",
        "/users%00",
        "/USERS",
        "/users.json",
        "/users%23",
        "/./users",
        "/openapi.json/../users",
        "/openapi.json/%2e%2e/users",
        "/openapi.json%2f..%2fusers",
        "/openapi.json;/users",
        "/$batch/../users",
        "/openapi.json%00",
        "/openapi.json/users",
        "\\users",
        "/openapi.json\\..\\users",
    ];
    let mut paths: Vec<Vec<u8>> = corpus.map(|(_, path)| [b"/v1.0", octets(path).as_slice()].concat()).collect();
    paths.extend(spellings.iter().map(|path| format!("/v1.0{path}").into_bytes()));
    paths.extend(
        ["/v1.0%2fusers", "//v1.0/users", "/V1.0/users", "/v1%2e0/users", "/x/../v1.0/users"]
            .map(|path| path.as_bytes().to_vec()),
    );
    for path in &paths {
        let shown = String::from_utf8_lossy(path).into_owned();
        for (token, whose) in [(None, "nobody"), (Some(nobody.token.as_str()), "an app without permissions")] {
            let status = status(&authority, token, path).await;
            assert!((400..500).contains(&status) || status == 0, "{shown} of {whose}: {status}");
        }
    }
    // A letter that is encoded for no reason is the same path for everybody, and the same permission.
    assert_eq!(status(&authority, Some(&reader.token), b"/v1.0/%75sers").await, 200);
    assert_eq!(status(&authority, Some(&nobody.token), b"/v1.0/%75sers").await, 403);
}
