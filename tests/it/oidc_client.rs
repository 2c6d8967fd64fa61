//! An independent OpenID client: npm `openid-client` against the running server.

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::support::journey::{Guest, shared_demo};

#[tokio::test]
async fn c_01_openid_client_signs_in_verifies_everything_and_refreshes() {
    let demo = shared_demo().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node");
    assert!(std::path::Path::new(folder).join("node_modules").exists(), "run tests/run once: it installs the Node packages");
    let mut client = Command::new("node")
        .arg("client.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node runs");
    let mut input = client.stdin.take().expect("a pipe");
    let mut lines = BufReader::new(client.stdout.take().expect("a pipe")).lines();
    let mut tell = async |line: String| input.write_all(format!("{line}\n").as_bytes()).await.expect("node reads");
    let mut hear = async || -> Value {
        let line = timeout(Duration::from_secs(60), lines.next_line()).await.expect("node answers").expect("a line");
        serde_json::from_str(&line.expect("node has not given up: see its errors above")).expect("JSON")
    };

    let asked = json!({
        "issuer": demo.issuer,
        "client_id": demo.app.client_id,
        "client_secret": demo.app.client_secret,
        "redirect_uri": demo.app.redirect_uri,
        "scope": "openid profile email offline_access",
    });
    tell(asked.to_string()).await;
    let url = hear().await["authorization_url"].as_str().expect("a URL").to_owned();
    let mut guest = Guest::signed_in(&demo).await;
    let back = guest.arrive_at(&url, &demo.app.redirect_uri).await.expect("back at the client");
    tell(back.to_string()).await;
    let got = hear().await;

    assert_eq!(got["server"]["issuer"], *demo.issuer);
    assert_eq!(got["userinfo"]["sub"], got["claims"]["sub"]);
    assert_eq!(got["userinfo"]["email"], *guest.person.email);
    assert_eq!(got["userinfo"]["email_verified"], true);
    assert_eq!(got["refreshed"]["claims"]["sub"], got["claims"]["sub"]);
    assert_eq!(got["refreshed"]["claims"]["auth_time"], got["claims"]["auth_time"], "S-19");
    assert_eq!(got["refreshed"]["rotated"], true, "S-31");
}
