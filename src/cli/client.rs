//! Talks to a running server over its administration socket.

use std::{io::ErrorKind, path::Path};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
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
        let request = Request::post(O::PATH).header(header::CONTENT_TYPE, "application/json");
        let response = self.send(request.body(Bytes::from(serde_json::to_vec(operation)?))?).await?;
        if response.status().is_success() {
            return serde_json::from_slice(response.body()).context("the running server's answer");
        }
        match serde_json::from_slice::<Failure>(response.body()) {
            Ok(failure) => Err(failure.into()),
            Err(_) => bail!("the running server answered {}", response.status()),
        }
    }

    /// Sends a request for a path of the socket.
    pub(super) async fn send(self, mut request: Request<Bytes>) -> anyhow::Result<Response<Bytes>> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(self.0)).await?;
        let connection = tokio::spawn(connection);
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
        let response = sender.send_request(request.map(Full::new)).await.context("the running server")?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.context("the running server")?.to_bytes();
        connection.abort();
        Ok(Response::from_parts(parts, body))
    }
}
