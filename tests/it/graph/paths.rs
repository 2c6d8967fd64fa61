//! hostile spellings of paths lead nowhere.

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

/// The status of the answer to a raw request.
async fn status(authority: &str, token: Option<&str>, path: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(authority.replace("localhost", "127.0.0.1")).await.expect("a connection");
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let rest = format!(" HTTP/1.1\r\nHost: {authority}\r\n{authorization}Connection: close\r\n\r\n");
    stream.write_all(&[b"GET ", path, rest.as_bytes()].concat()).await.expect("written");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
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
