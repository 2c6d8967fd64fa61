//! The directory API of a server elsewhere, as an app with permissions: client credentials at the token endpoint of the tenant
//! (RFC 6749 section 4.4), then Bearer (RFC 6750).

use std::{
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use http::StatusCode;
use jiff::SignedDuration;
use reqwest::Certificate;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::{Host, Url};

use super::{Raw, Request, date, request::ROOT};
use crate::{
    cli::guest::{connection::Connection, table::visible},
    clock::{Clock, SystemClock},
    secret::Secret,
};

/// How long an answer may take: a page of 999 users, a batch of twenty invitations.
const WITHIN: Duration = Duration::from_secs(120);
/// How long before its end a token is no longer used.
const EARLY: Duration = Duration::from_secs(60);

/// A server elsewhere.
pub(super) struct Https {
    client: reqwest::Client,
    server: Url,
    tenant: String,
    id: String,
    secret: Secret,
    token: Mutex<Option<Token>>,
    /// Seconds.
    clock_ahead: AtomicI64,
}

struct Token {
    bearer: Secret,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

impl Https {
    pub(super) async fn connect(connection: &Connection) -> anyhow::Result<Self> {
        let server = connection.server.clone().context("--server is missing")?;
        let loopback = match server.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if server.scheme() != "https" && !(server.scheme() == "http" && loopback) {
            bail!("--server: secrets go over https only");
        }
        if !matches!(server.path(), "" | "/") || server.query().is_some() || !server.username().is_empty() {
            bail!("--server: https://HOST and nothing else");
        }
        let (id, secret) = connection.credentials()?;
        let client = client(connection.ca.as_deref())?;
        let (token, clock_ahead) = (Mutex::new(None), AtomicI64::new(0));
        let https = Self { client, server, tenant: connection.tenant.clone(), id, secret, token, clock_ahead };
        https.bearer(None).await?;
        Ok(https)
    }

    pub(super) fn clock_ahead(&self) -> SignedDuration {
        SignedDuration::from_secs(self.clock_ahead.load(Ordering::Relaxed))
    }

    pub(super) async fn send(&self, request: &Request) -> anyhow::Result<Raw> {
        let token = self.bearer(None).await?;
        let raw = self.send_with(request, &token).await?;
        if raw.status() != StatusCode::UNAUTHORIZED {
            return Ok(raw);
        }
        // The keys of the tenant may have been rotated, or the clocks differ: a new token tells.
        let token = self.bearer(Some(&token)).await?;
        self.send_with(request, &token).await
    }

    async fn send_with(&self, request: &Request, token: &Secret) -> anyhow::Result<Raw> {
        let url = format!("{}{ROOT}{}", self.origin(), request.target);
        let mut sending = self.client.request(request.method.clone(), url).bearer_auth(token.expose());
        if let Some(body) = &request.body {
            sending = sending.json(body);
        }
        self.answer(sending).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Raw> {
        // An address in an error would carry what was asked for.
        let unreached = || format!("{}: no answer", self.origin());
        let mut answer = request.send().await.map_err(reqwest::Error::without_url).with_context(unreached)?;
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        let body = answer.bytes().await.map_err(reqwest::Error::without_url).with_context(unreached)?;
        let mut raw = Raw::new(body);
        *raw.status_mut() = status;
        *raw.headers_mut() = headers;
        Ok(raw)
    }

    fn origin(&self) -> &str {
        self.server.as_str().trim_end_matches('/')
    }

    /// A token that is good for a while and is not the one that was refused.
    async fn bearer(&self, refused: Option<&Secret>) -> anyhow::Result<Secret> {
        let mut token = self.token.lock().await;
        let good = |token: &&Token| {
            token.until > Instant::now() && refused.is_none_or(|refused| refused.expose() != token.bearer.expose())
        };
        if let Some(token) = token.as_ref().filter(good) {
            return Ok(token.bearer.clone());
        }
        let form = [("grant_type", "client_credentials"), ("scope", &format!("{}/.default", self.origin()))];
        let url = format!("{}/{}/oauth2/v2.0/token", self.origin(), self.tenant);
        let request = self.client.post(url).basic_auth(&self.id, Some(self.secret.expose())).form(&form);
        let (answer, now) = (self.answer(request).await?, SystemClock.now());
        if let Some(theirs) = date(answer.headers()) {
            self.clock_ahead.store(theirs.duration_since(now).as_secs(), Ordering::Relaxed);
        }
        if !answer.status().is_success() {
            bail!("{}: no token for this client: {}", self.origin(), reason(&answer));
        }
        let granted: Granted = serde_json::from_slice(answer.body()).context("the token endpoint's answer")?;
        let life = Duration::from_secs(granted.expires_in);
        let until = Instant::now() + life.saturating_sub(EARLY).max(life / 2);
        let bearer = Secret::new(granted.access_token);
        *token = Some(Token { bearer: bearer.clone(), until });
        Ok(bearer)
    }
}

/// What the token endpoint says (RFC 6749 section 5.2).
fn reason(answer: &Raw) -> String {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    match (body["error"].as_str(), body["error_description"].as_str()) {
        (Some(error), Some(description)) => visible(&format!("{error}: {description}")).into_owned(),
        (Some(error), None) => visible(error).into_owned(),
        _ => format!("status {}", answer.status()),
    }
}

/// A client that goes where it is told: no redirect is followed, and no proxy of the environment is used for this machine.
fn client(ca: Option<&Path>) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(WITHIN);
    if let Some(file) = ca {
        let read = || anyhow::Ok(Certificate::from_pem_bundle(&std::fs::read(file)?)?);
        for certificate in read().with_context(|| file.display().to_string())? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    Ok(builder.build()?)
}
