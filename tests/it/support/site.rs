//! Little web servers that stand for the rest of the world.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A site of somebody else on this machine: one answer for every path. Ends with its runtime.
#[derive(Debug)]
pub(crate) struct Site {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// Serves `head` (header lines, each ended by CR LF) and `body` to everybody.
    pub(crate) async fn serve(head: impl Into<String>, body: impl Into<String>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (head, body, requests) = (head.into(), body.into(), Arc::<Mutex<Vec<String>>>::default());
        let answer = format!("HTTP/1.1 200 OK\r\n{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_one(stream, answer.clone(), Arc::clone(&seen)));
            }
        });
        Self { address, requests }
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

    /// The request lines that came in.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("not poisoned").clone()
    }
}

async fn answer_one(stream: TcpStream, answer: String, requests: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    let (mut line, mut first) = (String::new(), true);
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
        if std::mem::take(&mut first) {
            requests.lock().expect("not poisoned").push(line.trim_end().to_owned());
        }
        line.clear();
    }
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
