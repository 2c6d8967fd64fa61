//! Talks to a running server over its administration socket.

use std::{io::ErrorKind, path::Path};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{
    admin::socket,
    operation::{Failure, Operation},
};

/// A connection to a running server.
pub(super) struct Client(UnixStream);

impl Client {
    /// Connects to the server that has `data` open; `None` when there is none.
    pub(super) async fn connect(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = socket(data);
        match UnixStream::connect(&path).await {
            Ok(stream) => Ok(Some(Self(stream))),
            // No server yet, one that was killed, or no data folder at all.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{}: the running server", path.display())),
        }
    }

    /// Asks for an operation, and reads the answer.
    pub(super) async fn ask<O: Operation>(self, operation: &O) -> anyhow::Result<O::Answer> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(self.0)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::post(O::PATH)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(serde_json::to_vec(operation)?)))?;
        let response = sender.send_request(request).await.context("the running server")?;
        let status = response.status();
        let body = response.into_body().collect().await.context("the running server")?.to_bytes();
        connection.abort();
        if status.is_success() {
            return serde_json::from_slice(&body).context("the running server's answer");
        }
        match serde_json::from_slice::<Failure>(&body) {
            Ok(failure) => Err(failure.into()),
            Err(_) => bail!("the running server answered {status}"),
        }
    }
}
