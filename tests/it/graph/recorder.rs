//! A wire that keeps what passes over it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
};

/// A relay to a server. Each connection is kept as what the client and what the server sent, in the order of chunks.
pub(super) struct Recorder {
    pub(super) address: SocketAddr,
    kept: Arc<Mutex<Vec<Arc<Mutex<Kept>>>>>,
}

/// One connection.
#[derive(Default)]
struct Kept {
    sent: Vec<u8>,
    received: Vec<u8>,
}

/// A request as it was on the wire, with the answer to it.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The request line.
    pub(super) line: String,
    /// The header fields of the request, as they were.
    pub(super) head: String,
    pub(super) body: String,
    /// The status line of the answer.
    pub(super) status: String,
    pub(super) answer: String,
}

impl Recorder {
    pub(super) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let kept: Arc<Mutex<Vec<Arc<Mutex<Kept>>>>> = Arc::default();
        let connections = Arc::clone(&kept);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let connection: Arc<Mutex<Kept>> = Arc::default();
                connections.lock().expect("not poisoned").push(Arc::clone(&connection));
                let server = TcpStream::connect(server).await.expect("the server");
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                let up = Arc::clone(&connection);
                tokio::spawn(pass(from_client, to_server, move |bytes| {
                    up.lock().expect("not poisoned").sent.extend_from_slice(bytes)
                }));
                tokio::spawn(pass(from_server, to_client, move |bytes| {
                    connection.lock().expect("not poisoned").received.extend_from_slice(bytes);
                }));
            }
        });
        Self { address, kept }
    }

    /// All exchanges so far, connection by connection.
    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        let connections = self.kept.lock().expect("not poisoned");
        connections.iter().flat_map(|kept| exchanges(&kept.lock().expect("not poisoned"))).collect()
    }
}

async fn pass(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, keep: impl Fn(&[u8])) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer).await {
        keep(&buffer[..read]);
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Requests and answers come in turns: none of the two sides pipelines.
fn exchanges(kept: &Kept) -> Vec<Exchange> {
    let (mut sent, mut received, mut found) = (kept.sent.as_slice(), kept.received.as_slice(), Vec::new());
    while let (Some((head, body, rest)), Some((status, answer, later))) = (message(sent), message(received)) {
        let (line, head) = head.split_once("\r\n").unwrap_or((&head, ""));
        let status = status.lines().next().unwrap_or_default().to_owned();
        found.push(Exchange { line: line.to_owned(), head: head.to_owned(), body, status, answer });
        (sent, received) = (rest, later);
    }
    found
}

/// The first message: its head, its body, and what comes after it.
fn message(bytes: &[u8]) -> Option<(String, String, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let field = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let mut rest = &bytes[end + 4..];
    let mut body = Vec::new();
    if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let line = rest.windows(2).position(|window| window == b"\r\n")?;
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?, 16).ok()?;
            body.extend_from_slice(rest.get(line + 2..line + 2 + size)?);
            rest = rest.get(line + 2 + size + 2..)?;
            if size == 0 {
                break;
            }
        }
    } else {
        let length = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        body.extend_from_slice(rest.get(..length)?);
        rest = &rest[length..];
    }
    Some((head, String::from_utf8_lossy(&body).into_owned(), rest))
}
