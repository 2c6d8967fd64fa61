//! TLS: the handshake, ALPN, and certificates that change.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    http2::{client, request},
    *,
};

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
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
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
    let (sender, _task) = client::open(socket).await;
    let peer = request("https://localhost/peer").body(()).expect("a request");
    assert_eq!(client::send(&sender, peer, None).await.expect("an answer"), (200, "127.0.0.1 tls=true".to_owned()));

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
