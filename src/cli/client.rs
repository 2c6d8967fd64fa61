//! Talks to a running server over its administration socket.

use std::path::Path;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use super::admin::{Problems, socket};

/// A connection to a running server.
pub(super) struct Client(UnixStream);

impl Client {
    /// Connects to the server that has `data` open; `None` when there is none.
    pub(super) async fn connect(data: &Path) -> Option<Self> {
        UnixStream::connect(socket(data)).await.ok().map(Self)
    }

    /// Asks for something, and reads the answer.
    pub(super) async fn ask<Q: Serialize, A: DeserializeOwned>(self, path: &str, question: &Q) -> anyhow::Result<A> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(self.0)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::post(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(serde_json::to_vec(question)?)))?;
        let response = sender.send_request(request).await.context("the running server")?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        connection.abort();
        if status.is_success() {
            return serde_json::from_slice(&body).context("the running server's answer");
        }
        match serde_json::from_slice::<Problems>(&body) {
            Ok(Problems { problems }) => bail!("{}", problems.join("\n")),
            Err(_) => bail!("the running server answered {status}"),
        }
    }
}
