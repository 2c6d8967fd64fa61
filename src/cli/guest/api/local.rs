//! The directory API on this machine, as the operator: the running server's socket, or this process when none runs.

use anyhow::Context;
use bytes::Bytes;
use http::{Request as HttpRequest, header};
use http_body_util::BodyExt;

use super::{Raw, Request, request::ROOT};
use crate::{
    cli::{
        client::Client,
        guest::connection::Connection,
        operation::{Failure, tenant},
    },
    config::Config,
    domain::TenantId,
    http::graph::DirectoryApi,
    server,
};

/// Where the operator's part of the socket begins; the tenant follows.
pub(in crate::cli) const DIRECTORY: &str = "/directory";

/// One of both, whichever was there at the start.
pub(super) enum Local {
    /// A server runs.
    Socket { config: Box<Config>, tenant: String },
    /// None did: the store is ours until we end.
    Here { api: DirectoryApi, tenant: TenantId },
}

impl Local {
    pub(super) async fn connect(connection: &Connection) -> anyhow::Result<Self> {
        let target = &connection.target;
        let config = target.configuration()?;
        if Client::connect(&config.data).await?.is_some() {
            return Ok(Self::Socket { config: Box::new(config), tenant: connection.tenant.clone() });
        }
        let foundation = target.open(&config).await?;
        let tenant = tenant(&foundation, &connection.tenant).await?;
        let api = DirectoryApi::new(&server::build(&config, foundation)?);
        Ok(Self::Here { api, tenant })
    }

    pub(super) async fn send(&self, request: &Request) -> anyhow::Result<Raw> {
        match self {
            Self::Socket { config, tenant } => {
                let client = Client::connect(&config.data)
                    .await?
                    .context("the server has stopped; the same command can be given again")?;
                let answer = client.send(http(&format!("{DIRECTORY}/{tenant}{ROOT}"), request)?).await?;
                match serde_json::from_slice::<Failure>(answer.body()) {
                    Ok(failure) if !answer.status().is_success() => Err(failure.into()),
                    _ => Ok(answer),
                }
            }
            Self::Here { api, tenant } => {
                let answer = api.serve_operator(*tenant, http(ROOT, request)?).await;
                let (parts, body) = answer.into_parts();
                Ok(Raw::from_parts(parts, body.collect().await?.to_bytes()))
            }
        }
    }
}

/// The request under a path.
fn http(path: &str, request: &Request) -> anyhow::Result<HttpRequest<Bytes>> {
    let body = request.body.as_ref().map(serde_json::to_vec).transpose()?.unwrap_or_default();
    let mut http = HttpRequest::builder().method(&request.method).uri(format!("{path}{}", request.target));
    if request.body.is_some() {
        http = http.header(header::CONTENT_TYPE, "application/json");
    }
    Ok(http.body(Bytes::from(body))?)
}
