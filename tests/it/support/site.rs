//! Little web servers that stand for the rest of the world.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A site of somebody else on this machine: one answer for every path. Ends with its runtime.
#[derive(Debug)]
pub(crate) struct Site {
    address: SocketAddr,
}

impl Site {
    /// Serves `head` (header lines, each ended by CR LF) and `body` to everybody.
    pub(crate) async fn serve(head: impl Into<String>, body: impl Into<String>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (head, body) = (head.into(), body.into());
        let answer = format!("HTTP/1.1 200 OK\r\n{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_one(stream, answer.clone()));
            }
        });
        Self { address }
    }

    /// Serves a page.
    pub(crate) async fn page(body: impl Into<String>) -> Self {
        Self::serve("content-type: text/html; charset=utf-8\r\n", body).await
    }

    /// Its address under a host name of this machine.
    pub(crate) fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/", self.address.port())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn answer_one(stream: TcpStream, answer: String) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
        line.clear();
    }
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
