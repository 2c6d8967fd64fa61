//! The one way out: an HTTP client that cannot be turned against the network it stands in.
//!
//! Tenants name URLs that this server requests (home organisations and what their documents point to), so every request
//! goes to a public address, judged where the connection is made, unless the operator listed the exact host and port
//! ([`OutboundPolicy`]). No redirect is followed, no proxy is taken from the environment, no compression is asked for or
//! undone, and time and size are bounded: 2 s to connect, 5 s in all, 256 KiB of body.
//!
//! `https` only, by the system's roots of trust; `http` for listed hosts of this machine.

use std::{
    error::Error,
    fmt, io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Method, header};
use serde::de::DeserializeOwned;
use url::Url;

use crate::secret::Secret;

mod target;

pub use target::{HostPort, HostPortError, OutboundPolicy, is_public};

use target::{Lookup, NotPublic, Reach, Resolver, system_lookup};

/// How long a connection, TLS included, may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request may take, from the first look-up to the last byte of the answer.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest body that is read, in bytes.
pub const MAX_BODY: usize = 256 * 1024;

/// Why a request has no answer that can be used. Holds no part of the answer and no secret of the request.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The target is not public and not an exception of the policy, or its scheme is not accepted. Nothing was sent.
    #[error("requests to {0} are not allowed from here")]
    Refused(String),
    /// No answer in time.
    #[error("the answer did not arrive in time")]
    Timeout,
    /// The body is larger than [`MAX_BODY`].
    #[error("the answer is too large")]
    TooLarge,
    /// An answer of another status than was needed; redirects are among them.
    #[error("the answer has status {0}")]
    Status(u16),
    /// There is no connection, or it broke.
    #[error("the connection could not be made or broke")]
    Connect(#[source] Box<dyn Error + Send + Sync>),
    /// There is no trusted connection: an expired, unknown or misnamed certificate, or no TLS at all.
    #[error("the connection cannot be trusted")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
    /// The answer is not what its kind should be.
    #[error("the answer cannot be read: {0}")]
    Decode(String),
    /// The client itself cannot be made: bad extra roots.
    #[error("the outbound client cannot be set up")]
    Setup(#[source] Box<dyn Error + Send + Sync>),
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub enum Authorization<'a> {
    /// Nobody in particular.
    None,
    /// The holder of an access token (RFC 6750).
    Bearer(&'a Secret),
    /// An OAuth client (RFC 6749 section 2.3.1: both parts are form-encoded first).
    Basic {
        /// The client id.
        id: &'a str,
        /// The client secret.
        secret: &'a Secret,
    },
}

impl Authorization<'_> {
    /// Puts itself into the headers of a request, marked as sensitive.
    fn write(self, headers: &mut HeaderMap) -> Result<(), OutboundError> {
        let form = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let value = match self {
            Self::None => return Ok(()),
            Self::Bearer(token) => format!("Bearer {}", token.expose()),
            Self::Basic { id, secret } => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", form(id), form(secret.expose()))))
            }
        };
        let mut value = HeaderValue::try_from(value).map_err(|error| OutboundError::Setup(error.into()))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }
}

/// A request under way, in the form of `openidconnect`.
pub type Exchange = BoxFuture<'static, Result<http::Response<Vec<u8>>, OutboundError>>;

/// The guarded HTTP client. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    policy: Arc<OutboundPolicy>,
    connectors: Arc<Connectors>,
    total: Duration,
}

/// What connects, made when it is first used: to read the system's roots of trust takes tens of milliseconds and a MiB or
/// two, and a server without home organisations needs neither.
struct Connectors {
    lookup: Lookup,
    roots: Vec<reqwest::Certificate>,
    /// Connects to public addresses only.
    guarded: OnceLock<reqwest::Client>,
    /// Connects to the policy's exceptions, and is used for nothing else.
    excepted: OnceLock<reqwest::Client>,
}

impl Connectors {
    fn reaching(&self, reach: Reach) -> Result<&reqwest::Client, OutboundError> {
        let client = match reach {
            Reach::PublicOnly => &self.guarded,
            Reach::Anywhere => &self.excepted,
        };
        match client.get() {
            Some(client) => Ok(client),
            None => {
                let made = self.make(reach)?;
                Ok(client.get_or_init(|| made))
            }
        }
    }

    fn make(&self, reach: Reach) -> Result<reqwest::Client, OutboundError> {
        let builder = || {
            reqwest::Client::builder()
                .dns_resolver(Resolver { lookup: self.lookup.clone(), reach })
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(Duration::from_secs(30))
                .user_agent(concat!("vestibule/", env!("CARGO_PKG_VERSION")))
        };
        builder().tls_certs_merge(self.roots.clone()).build().or_else(|error| {
            tracing::warn!(error = &error as &dyn Error, "the system has no roots of trust: https requests will fail");
            builder().tls_certs_only(self.roots.clone()).build().map_err(setup)
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("policy", &self.policy).field("total", &self.total).finish()
    }
}

impl Client {
    /// A client under `policy`.
    ///
    /// Where the system has no roots of trust at all, every `https` request fails, and a line in the log says why.
    ///
    /// # Errors
    /// [`OutboundError::Setup`] when the extra roots cannot be read.
    pub fn new(policy: OutboundPolicy) -> Result<Self, OutboundError> {
        Self::with_lookup(policy, system_lookup())
    }

    fn with_lookup(policy: OutboundPolicy, lookup: Lookup) -> Result<Self, OutboundError> {
        let mut roots = Vec::new();
        for pem in &policy.roots {
            let found = reqwest::Certificate::from_pem_bundle(pem).map_err(setup)?;
            if found.is_empty() {
                return Err(OutboundError::Setup("a file of root certificates holds none".into()));
            }
            roots.extend(found);
        }
        let connectors = Connectors { lookup, roots, guarded: OnceLock::new(), excepted: OnceLock::new() };
        Ok(Self { policy: Arc::new(policy), connectors: Arc::new(connectors), total: TOTAL_TIMEOUT })
    }

    /// The same client with another limit than [`TOTAL_TIMEOUT`] for each whole request.
    #[must_use]
    pub fn within(self, total: Duration) -> Self {
        Self { total, ..self }
    }

    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// When the target is refused, or there is no whole answer within the limits. A compressed answer is refused, too:
    /// none was asked for.
    pub async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Bytes>, OutboundError> {
        let exchange = async {
            let mut answer = self.start(request).await?;
            let mut body = BytesMut::new();
            while let Some(chunk) = answer.chunk().await.map_err(classify)? {
                if body.len() + chunk.len() > MAX_BODY {
                    return Err(OutboundError::TooLarge);
                }
                body.extend_from_slice(&chunk);
            }
            let mut response = http::Response::new(body.freeze());
            *response.status_mut() = answer.status();
            *response.headers_mut() = std::mem::take(answer.headers_mut());
            Ok(response)
        };
        tokio::time::timeout(self.total, exchange).await.unwrap_or(Err(OutboundError::Timeout))
    }

    /// Reads a JSON document.
    ///
    /// # Errors
    /// As [`Client::send`]; [`OutboundError::Status`] for any status but 2xx; [`OutboundError::Decode`] when the document
    /// is not JSON of this form.
    pub async fn get_json<T: DeserializeOwned>(&self, url: &Url, who: Authorization<'_>) -> Result<T, OutboundError> {
        let mut request = request(Method::GET, url, Vec::new())?;
        who.write(request.headers_mut())?;
        json(&self.send(request).await?)
    }

    /// Posts a form and reads the JSON document that answers it.
    ///
    /// # Errors
    /// As [`Client::get_json`].
    pub async fn post_form<T: DeserializeOwned>(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        who: Authorization<'_>,
    ) -> Result<T, OutboundError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = request(Method::POST, url, body.into_bytes())?;
        let media = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(header::CONTENT_TYPE, media);
        who.write(request.headers_mut())?;
        json(&self.send(request).await?)
    }

    /// Opens a long answer and hands it on piece by piece, for feeds. Its whole length in time and size is not bounded; the
    /// wait for its head is (as for any request), and so is every further wait, by `idle`.
    ///
    /// # Errors
    /// As [`Client::get_json`]. The stream ends after its first error.
    pub async fn stream(
        &self,
        url: &Url,
        who: Authorization<'_>,
        idle: Duration,
    ) -> Result<impl Stream<Item = Result<Bytes, OutboundError>> + Send + use<>, OutboundError> {
        let mut request = request(Method::GET, url, Vec::new())?;
        who.write(request.headers_mut())?;
        let answer = tokio::time::timeout(self.total, self.start(request)).await.unwrap_or(Err(OutboundError::Timeout))?;
        if answer.status() != http::StatusCode::OK {
            return Err(OutboundError::Status(answer.status().as_u16()));
        }
        let pieces = answer.bytes_stream().boxed();
        Ok(futures_util::stream::unfold(Some(pieces), move |pieces| async move {
            let mut pieces = pieces?;
            match tokio::time::timeout(idle, pieces.next()).await {
                Err(_) => Some((Err(OutboundError::Timeout), None)),
                Ok(None) => None,
                Ok(Some(Err(error))) => Some((Err(classify(error)), None)),
                Ok(Some(Ok(piece))) => Some((Ok(piece), Some(pieces))),
            }
        }))
    }

    /// The client in the form that `openidconnect` calls. Answers of 3xx, 429 and 5xx are errors there, since their bodies
    /// are no OAuth answers.
    pub fn openidconnect_http(&self) -> impl Fn(http::Request<Vec<u8>>) -> Exchange + Send + Sync + use<> {
        let client = self.clone();
        move |request| {
            let client = client.clone();
            Box::pin(async move {
                let response = client.send(request).await?;
                let status = response.status();
                if status.is_redirection() || status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS {
                    return Err(OutboundError::Status(status.as_u16()));
                }
                Ok(response.map(Vec::from))
            })
        }
    }

    /// Checks the target, sends the request, and waits for the head of the answer.
    async fn start(&self, request: http::Request<Vec<u8>>) -> Result<reqwest::Response, OutboundError> {
        let url = Url::parse(&request.uri().to_string()).map_err(|error| OutboundError::Setup(error.into()))?;
        let refused = || OutboundError::Refused(url.origin().ascii_serialization());
        let client = self.connectors.reaching(self.policy.reach(&url).ok_or_else(refused)?)?;
        let request = reqwest::Request::try_from(request).map_err(setup)?;
        let answer = client.execute(request).await.map_err(|error| match classify(error) {
            OutboundError::Refused(_) => refused(),
            other => other,
        })?;
        match answer.headers().get(header::CONTENT_ENCODING) {
            Some(encoding) if encoding != "identity" => Err(OutboundError::Decode("it is compressed".into())),
            _ => Ok(answer),
        }
    }
}

fn setup(error: reqwest::Error) -> OutboundError {
    OutboundError::Setup(error.without_url().into())
}

fn request(method: Method, url: &Url, body: Vec<u8>) -> Result<http::Request<Vec<u8>>, OutboundError> {
    http::Request::builder()
        .method(method)
        .uri(url.as_str())
        .header(header::ACCEPT, "application/json")
        .body(body)
        .map_err(|error| OutboundError::Setup(error.into()))
}

fn json<T: DeserializeOwned>(response: &http::Response<Bytes>) -> Result<T, OutboundError> {
    if !response.status().is_success() {
        return Err(OutboundError::Status(response.status().as_u16()));
    }
    // serde_json's own message may quote the document, which can hold tokens.
    serde_json::from_slice(response.body()).map_err(|error| {
        let (kind, line, column) = (error.classify(), error.line(), error.column());
        OutboundError::Decode(format!("JSON, {kind:?} error at line {line} column {column}"))
    })
}

/// Finds out what went wrong from the chain of causes.
fn classify(error: reqwest::Error) -> OutboundError {
    // The URL of a request is ours to log where that is wanted.
    let error = error.without_url();
    if error.is_timeout() {
        return OutboundError::Timeout;
    }
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    let mut untrusted = false;
    while let Some(current) = cause {
        if current.is::<NotPublic>() {
            return OutboundError::Refused(String::new());
        }
        let io = current.downcast_ref::<io::Error>();
        // How the TLS stack reports a bad certificate or bad protocol: no other part of connecting uses this kind.
        untrusted |= io.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData);
        // The source of an `io::Error` is not what it wraps but the source of that.
        cause = match io.and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => current.source(),
        };
    }
    if untrusted && error.is_connect() { OutboundError::Tls(error.into()) } else { OutboundError::Connect(error.into()) }
}

#[cfg(test)]
mod tests;
