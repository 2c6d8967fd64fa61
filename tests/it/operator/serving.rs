//! `serve`: listeners, health, and the end.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

/// What the administration socket shows of the metrics.
async fn metrics(site: &Site) -> String {
    let mut socket = tokio::net::UnixStream::connect(site.path("data/admin.sock")).await.expect("the socket");
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.expect("written");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

/// The value of one line of metrics; 0 when there is none.
fn figure(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.trim().parse().expect("a number"))
}

#[tokio::test]
async fn metrics_show_how_the_store_fares() {
    let site = Site::new();
    let process = site.serve().await;
    let commits = r#"vestibule_store_seconds_count{operation="commit",outcome="ok"}"#;
    let before = metrics(&site).await;
    site.apply();
    let after = metrics(&site).await;
    assert!(figure(&after, commits) > figure(&before, commits), "{after}");
    for operation in ["get", "scan"] {
        let name = format!(r#"vestibule_store_seconds_count{{operation="{operation}",outcome="ok"}}"#);
        assert!(figure(&after, &name) > figure(&before, &name), "{operation}: {after}");
    }
    for line in ["# TYPE vestibule_store_seconds histogram", "# HELP vestibule_store_seconds How long"] {
        assert!(after.contains(line), "{after}");
    }
    let deadline = Instant::now() + SOON;
    while figure(&metrics(&site).await, "vestibule_store_watch_lag_seconds_count") == 0.0 {
        assert!(Instant::now() < deadline, "the feed is in touch twice a second");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(figure(&metrics(&site).await, "vestibule_store_watch_current_timestamp_seconds") > 1.7e9);
    drop(process);
}

/// A request whose head has arrived and whose body has not.
async fn half_a_request(site: &Site) -> TcpStream {
    let mut socket = TcpStream::connect(site.address).await.expect("a connection");
    let head = format!(
        "POST /contoso.example/oauth2/v2.0/token HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 29\r\n\r\ngrant_type=",
        site.address.port()
    );
    socket.write_all(head.as_bytes()).await.expect("written");
    // The server has it once it answers others that came later.
    client().get(site.url("/healthz")).send().await.expect("sent");
    socket
}

/// F-21: what is in flight ends, nothing new begins, and the exit says that all is well.
async fn drains_on(signal: &str) {
    let site = Site::new();
    site.apply();
    let process = site.serve().await;
    let mut socket = half_a_request(&site).await;
    process.signal(signal);
    let deadline = Instant::now() + SOON;
    while TcpStream::connect(site.address).await.is_ok() {
        assert!(Instant::now() < deadline, "still accepting:\n{}", process.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(process.wait(Duration::ZERO), None, "it waits for the request:\n{}", process.log());
    socket.write_all(b"client_credentials").await.expect("written");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 40") && answer.contains("invalid_"), "{answer}");
    assert_eq!(process.wait(SOON).and_then(|status| status.code()), Some(0), "{}", process.log());
}

#[tokio::test]
async fn f_21_sigterm_drains() {
    drains_on("TERM").await;
}

#[tokio::test]
async fn f_21_ctrl_c_drains() {
    drains_on("INT").await;
}

#[tokio::test]
async fn f_21_asked_twice_it_stops_at_once() {
    let site = Site::new();
    let process = site.serve().await;
    let socket = half_a_request(&site).await;
    process.signal("INT");
    let deadline = Instant::now() + SOON;
    while !process.log().contains("draining") {
        assert!(Instant::now() < deadline, "{}", process.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    process.signal("INT");
    assert_eq!(process.wait(SOON).and_then(|status| status.code()), Some(130), "{}", process.log());
    drop(socket);
    let again = site.serve().await;
    drop(again);
}

#[tokio::test]
async fn one_server_listens_with_tls_and_without() {
    let site = Site::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    site.write("cert.pem", &made.cert.pem());
    site.write("key.pem", &made.signing_key.serialize_pem());
    let secure = spare_address();
    let tls = format!("[[listen]]\naddress = \"{secure}\"\ntls = {{ certificate = \"cert.pem\", key = \"key.pem\" }}\n");
    site.write("vestibule.toml", &site.configuration(&tls));
    let process = site.serve().await;
    let trusted = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).expect("a certificate");
    let https = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().expect("a client");
    for path in ["/healthz", "/readyz"] {
        let plain = client().get(site.url(path)).send().await.expect("sent");
        assert_eq!(plain.status(), 200, "{path}");
        let answer = https.get(format!("https://localhost:{}{path}", secure.port())).send().await.expect("sent");
        assert_eq!(answer.status(), 200, "{path}");
    }
    let log = process.log();
    assert!(log.contains(&site.address.to_string()) && log.contains(&secure.to_string()), "{log}");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_or_an_address_that_is_taken_is_named() {
    let site = Site::new();
    let tls = "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }\n";
    site.write("vestibule.toml", &site.configuration(tls));
    let said = failed(&site.command(&["serve"]));
    assert!(said.contains("cert.pem"), "{said}");
    site.write("vestibule.toml", &site.configuration(""));
    let taken = tokio::net::TcpListener::bind(site.address).await.expect("a port");
    let said = failed(&site.command(&["serve"]));
    assert!(said.contains(&site.address.to_string()) && said.contains("in use"), "{said}");
    drop(taken);
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_with_the_reason() {
    let site = Site::new();
    let process = site.serve().await;
    let second = site.configuration("").replace(&site.address.to_string(), "127.0.0.1:0");
    site.write("second.toml", &second);
    let said = failed(&run(&["serve", "--config", text(&site.path("second.toml"))]));
    assert!(said.contains("vestibule.redb") && said.contains("in use by another process"), "{said}");
    assert!(site.path("data/admin.sock").exists(), "the first one's socket stays");
    site.apply();
    assert_eq!(site.metadata().await, 200, "and still answers");
    drop(process);
}
