//! The client against servers that mean no good, on loopback.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// A server that reads one request head per connection and then does what `answer` says.
async fn hostile<F, Fut>(answer: F) -> SocketAddr
where
    F: Fn(TcpStream, String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                let mut buffer = [0; 4096];
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer).await {
                        Ok(length) if length > 0 => head.extend_from_slice(&buffer[..length]),
                        _ => return,
                    }
                }
                answer(stream, String::from_utf8_lossy(&head).into_owned()).await;
            });
        }
    });
    address
}

fn client_for(address: SocketAddr) -> Client {
    Client::new(OutboundPolicy::parse(&[address.to_string()]).unwrap()).unwrap()
}

fn url(address: SocketAddr) -> Url {
    Url::parse(&format!("http://{address}/document")).unwrap()
}

async fn read(client: &Client, address: SocketAddr) -> Result<serde_json::Value, OutboundError> {
    client.get_json(&url(address), Authorization::None).await
}

#[tokio::test]
async fn reads_a_document_and_sends_credentials_as_told() {
    let address = hostile(|mut stream, head| async move {
        let seen = head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:")).unwrap_or("none").to_owned();
        let body = serde_json::json!({ "seen": seen, "asked": head.lines().next() }).to_string();
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
    })
    .await;
    let client = client_for(address);
    let (secret, token) = (Secret::new("p:w d"), Secret::new("t0ken"));
    let seen =
        async |who| client.post_form::<serde_json::Value>(&url(address), &[("a", "b c")], who).await.unwrap()["seen"].to_string();
    assert_eq!(seen(Authorization::None).await, "\"none\"");
    assert!(seen(Authorization::Bearer(&token)).await.contains("Bearer t0ken"));
    let basic = BASE64_STANDARD.encode("an+id:p%3Aw+d");
    assert!(seen(Authorization::Basic { id: "an id", secret: &secret }).await.contains(&format!("Basic {basic}")));
}

/// N-04: an endless body ends at the limit.
#[tokio::test]
async fn n_04_an_endless_body_is_cut_off() {
    let address = hostile(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n").await;
        while stream.write_all(&[b' '; 8192]).await.is_ok() {}
    })
    .await;
    assert!(matches!(read(&client_for(address), address).await, Err(OutboundError::TooLarge)));
}

/// N-04: a server that drips bytes, or never answers, costs no more than the time limit.
#[tokio::test]
async fn n_04_slow_bytes_run_out_of_time() {
    let dripping = hostile(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n").await;
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let silent = hostile(|stream, _| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    for address in [dripping, silent] {
        let client = client_for(address).within(Duration::from_millis(300));
        assert!(matches!(read(&client, address).await, Err(OutboundError::Timeout)));
    }
}

/// N-04: a compressed answer, which was not asked for, is not expanded.
#[tokio::test]
async fn n_04_a_compressed_answer_is_refused() {
    let address = hostile(|mut stream, head| async move {
        assert!(!head.to_ascii_lowercase().contains("accept-encoding"), "{head}");
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b").await;
    })
    .await;
    assert!(matches!(read(&client_for(address), address).await, Err(OutboundError::Decode(_))));
}

/// N-04, N-05: a redirect is an answer of the wrong status; nothing is sent after it, least of all credentials.
#[tokio::test]
async fn n_05_redirects_are_not_followed() {
    static REQUESTS: AtomicUsize = AtomicUsize::new(0);
    let address = hostile(|mut stream, _| async move {
        REQUESTS.fetch_add(1, Ordering::SeqCst);
        let _ = stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /document\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let client = client_for(address);
    let secret = Secret::new("secret");
    let who = Authorization::Basic { id: "client", secret: &secret };
    let answer = client.post_form::<serde_json::Value>(&url(address), &[("code", "x")], who).await;
    assert!(matches!(answer, Err(OutboundError::Status(302))), "{answer:?}");
    assert_eq!(REQUESTS.load(Ordering::SeqCst), 1);
    let request = http::Request::get(url(address).as_str()).body(Vec::new()).unwrap();
    assert!(matches!(client.openidconnect_http()(request).await, Err(OutboundError::Status(302))));
}

/// N-01: without an exception loopback is refused before a byte is sent, by address and by name.
#[tokio::test]
async fn n_01_loopback_is_refused_without_an_exception() {
    static REQUESTS: AtomicUsize = AtomicUsize::new(0);
    let address = hostile(|_, _| async {
        REQUESTS.fetch_add(1, Ordering::SeqCst);
    })
    .await;
    let client = Client::new(OutboundPolicy::default()).unwrap();
    for host in ["127.0.0.1", "localhost", "idp.localhost", "localhost.", "[::1]", "127.1"] {
        for scheme in ["http", "https"] {
            let url = Url::parse(&format!("{scheme}://{host}:{}/", address.port())).unwrap();
            let answer = client.get_json::<serde_json::Value>(&url, Authorization::None).await;
            assert!(matches!(answer, Err(OutboundError::Refused(_))), "{url}: {answer:?}");
        }
    }
    assert_eq!(REQUESTS.load(Ordering::SeqCst), 0);
}

/// N-01: a name that leads to a private address is refused when it is connected to; a name that led elsewhere the first
/// time (DNS rebinding) is judged by what it says then.
#[tokio::test]
async fn n_01_names_are_judged_by_their_addresses_at_connect() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let lookup: Lookup = Arc::new(move |name: String| {
        let mut asked = log.lock().unwrap();
        let found: Vec<IpAddr> = match (name.as_str(), asked.len()) {
            ("rebinding.example", 0) => vec!["240.0.0.1".parse().unwrap(), "::ffff:127.0.0.1".parse().unwrap()],
            _ => vec!["127.0.0.1".parse().unwrap(), "10.1.2.3".parse().unwrap()],
        };
        asked.push(name);
        Box::pin(std::future::ready(Ok(found)))
    });
    let client = Client::with_lookup(OutboundPolicy::default(), lookup).unwrap();
    for name in ["rebinding.example", "rebinding.example", "inside.example"] {
        let url = Url::parse(&format!("https://{name}/")).unwrap();
        let answer = client.get_json::<serde_json::Value>(&url, Authorization::None).await;
        assert!(matches!(answer, Err(OutboundError::Refused(_))), "{name}: {answer:?}");
    }
    assert_eq!(asked.lock().unwrap().len(), 3, "every connection asks anew");
}

/// F-12: a certificate that no trusted root stands behind is told apart from a host that is down.
#[tokio::test]
async fn f_12_untrusted_and_unreachable_are_told_apart() {
    let plain = hostile(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    // The server reads until a blank line; a TLS hello holds none, so answer at once instead.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let not_tls = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let ask = async |address: SocketAddr, scheme: &str| {
        let url = Url::parse(&format!("{scheme}://{address}/")).unwrap();
        client_for(address).get_json::<serde_json::Value>(&url, Authorization::None).await
    };
    assert!(matches!(ask(not_tls, "https").await, Err(OutboundError::Tls(_))));
    assert!(matches!(ask(closed, "https").await, Err(OutboundError::Connect(_))));
    assert!(matches!(ask(plain, "http").await, Err(OutboundError::Status(400))));
}

/// F-12: certificates are checked: unknown authority, wrong name and expiry are refused, and a listed extra root is trusted.
#[tokio::test]
#[cfg(feature = "server")]
async fn f_12_certificates_are_checked() {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let serve = async |name: &str, expired: bool| {
        let mut leaf = CertificateParams::new([name.to_owned()]).unwrap();
        if expired {
            leaf.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = leaf.signed_by(&key, &authority).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut head = [0; 4096];
                    let _ = stream.read(&mut head).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
                    let _ = stream.shutdown().await;
                }
            }
        });
        address
    };
    let ask = async |address: SocketAddr, root: Option<String>| {
        let entry = format!("localhost:{}", address.port());
        let policy = OutboundPolicy::parse(&[&entry]).unwrap();
        let policy = if let Some(root) = root { policy.with_root(root) } else { policy };
        let url = Url::parse(&format!("https://{entry}/")).unwrap();
        Client::new(policy).unwrap().get_json::<serde_json::Value>(&url, Authorization::None).await
    };
    let root = || Some(authority.pem());
    let good = serve("localhost", false).await;
    assert!(ask(good, root()).await.is_ok());
    assert!(matches!(ask(good, None).await, Err(OutboundError::Tls(_))), "unknown authority");
    assert!(matches!(ask(serve("other.example", false).await, root()).await, Err(OutboundError::Tls(_))), "wrong name");
    assert!(matches!(ask(serve("localhost", true).await, root()).await, Err(OutboundError::Tls(_))), "expired");
    for bad in [
        "-----BEGIN CERTIFICATE-----
!
-----END CERTIFICATE-----
",
        "no certificate",
        "",
    ] {
        let answer = Client::new(OutboundPolicy::default().with_root(bad));
        assert!(matches!(answer, Err(OutboundError::Setup(_))), "{bad}: {answer:?}");
    }
}

#[tokio::test]
async fn a_feed_is_handed_on_piece_by_piece_and_ends_when_it_falls_silent() {
    let address = hostile(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\none").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let client = client_for(address);
    let feed = client.stream(&url(address), Authorization::None, Duration::from_millis(200)).await.unwrap();
    let pieces: Vec<_> = feed.collect().await;
    assert_eq!(pieces.len(), 2);
    assert_eq!(pieces[0].as_ref().unwrap(), "one");
    assert!(matches!(pieces[1], Err(OutboundError::Timeout)));
}

#[test]
fn errors_do_not_quote_the_answer() {
    let response = http::Response::new(Bytes::from_static(br#"{"access_token": "hunter2"}"#));
    let error = json::<std::collections::BTreeMap<String, u8>>(&response).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}
