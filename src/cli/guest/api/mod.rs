//! The directory API, as commands use it: through the running server's socket, in this process when none runs, or over HTTPS
//! as an app with permissions. A command says what it wants once.

mod https;
mod local;
mod refused;
mod request;

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

pub(in crate::cli) use local::DIRECTORY;
pub(super) use refused::Refused;
pub(super) use request::{Request, literal};

use super::connection::Connection;
use https::Https;
use local::Local;

/// The most requests in a batch (as in Graph).
pub(super) const BATCH_MAX: usize = 20;
/// How often a request is sent again that the server had no time for.
const ATTEMPTS: usize = 10;
/// The longest wait for a server that has no time, whatever it says.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The directory of one tenant.
pub(super) struct Api(Transport);

enum Transport {
    Local(Local),
    Https(Box<Https>),
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    /// JSON, or null where there was no body.
    pub(super) body: Value,
}

/// What came back, before it is read.
type Raw = http::Response<Bytes>;

impl Api {
    /// Connects to the directory that the command line names.
    ///
    /// # Errors
    /// When there is none: no configuration, no store, no such tenant; or no token for it.
    pub(super) async fn connect(connection: &Connection) -> anyhow::Result<Self> {
        Ok(Self(match &connection.server {
            Some(_) => Transport::Https(Box::new(Https::connect(connection).await?)),
            None => Transport::Local(Local::connect(connection).await?),
        }))
    }

    /// Sends a request as it is.
    ///
    /// # Errors
    /// When there is no answer, or none of the directory API. What the server refuses is an answer.
    pub(super) async fn send(&self, request: &Request) -> anyhow::Result<Reply> {
        let raw = match &self.0 {
            Transport::Local(local) => local.send(request).await?,
            Transport::Https(https) => https.send(request).await?,
        };
        let (parts, body) = raw.into_parts();
        let body = if body.is_empty() {
            Value::Null
        } else {
            let read: Result<Map<String, Value>, _> = serde_json::from_slice(&body);
            read.with_context(|| format!("status {}, and no answer of the directory API; is this its server?", parts.status))?
                .into()
        };
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }

    /// Sends a request, again as often as the server asks for patience (429), and gives the body of its success.
    ///
    /// # Errors
    /// [`Refused`], and those of [`Api::send`].
    pub(super) async fn ask(&self, request: &Request) -> anyhow::Result<Value> {
        let mut attempt = 1;
        loop {
            let reply = self.send(request).await?;
            match reply.refused() {
                None => return Ok(reply.body),
                Some(refused) => match reply.wait().filter(|_| attempt < ATTEMPTS) {
                    Some(wait) if refused.status == StatusCode::TOO_MANY_REQUESTS => tokio::time::sleep(wait).await,
                    _ => return Err(refused.into()),
                },
            }
            attempt += 1;
        }
    }

    /// Sends up to [`BATCH_MAX`] requests as one; gives an answer for each, in their order.
    ///
    /// # Errors
    /// [`Refused`] when the batch as a whole is, and those of [`Api::send`]. What was done of it is not known then.
    pub(super) async fn batch(&self, requests: &[Request]) -> anyhow::Result<Vec<Reply>> {
        let items: Vec<_> = requests.iter().enumerate().map(|(id, request)| request.as_item(id)).collect();
        let answered = self.ask(&Request::post(&["$batch"]).json(json!({ "requests": items }))).await?;
        let mut answers: Vec<Option<Reply>> = requests.iter().map(|_| None).collect();
        for answer in answered["responses"].as_array().into_iter().flatten() {
            let place = answer["id"].as_str().and_then(|id| id.parse::<usize>().ok()).and_then(|id| answers.get_mut(id));
            if let (Some(place), Some(reply)) = (place, Reply::of_item(answer)) {
                *place = Some(reply);
            }
        }
        answers.into_iter().collect::<Option<_>>().context("the server did not answer every request of a batch")
    }

    /// A page of a collection, and the request for the next one.
    ///
    /// # Errors
    /// Those of [`Api::ask`].
    pub(super) async fn page(&self, request: &Request) -> anyhow::Result<(Vec<Value>, Option<Request>)> {
        let mut page = self.ask(request).await?;
        let next = page["@odata.nextLink"].as_str().map(Request::next).transpose()?;
        match page["value"].take() {
            Value::Array(items) if items.iter().all(Value::is_object) => Ok((items, next)),
            _ => anyhow::bail!("the server answered no collection"),
        }
    }

    /// All of a collection; for those that are small.
    ///
    /// # Errors
    /// Those of [`Api::ask`].
    pub(super) async fn all(&self, request: Request) -> anyhow::Result<Vec<Value>> {
        let (mut all, mut next) = self.page(&request).await?;
        while let Some(request) = next {
            let (more, after) = self.page(&request).await?;
            all.extend(more);
            next = after;
        }
        Ok(all)
    }

    /// How far the server's clock is ahead of this machine's, to the second.
    pub(super) fn clock_ahead(&self) -> SignedDuration {
        match &self.0 {
            Transport::Local(_) => SignedDuration::ZERO,
            Transport::Https(https) => https.clock_ahead(),
        }
    }
}

impl Reply {
    /// One answer of a batch.
    fn of_item(answer: &Value) -> Option<Self> {
        let status = answer["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        let mut headers = HeaderMap::new();
        for (name, value) in answer["headers"].as_object().into_iter().flatten() {
            let name = name.parse::<http::HeaderName>();
            if let (Ok(name), Some(Ok(value))) = (name, value.as_str().map(str::parse)) {
                headers.insert(name, value);
            }
        }
        Some(Self { status: StatusCode::from_u16(status?).ok()?, headers, body: answer["body"].clone() })
    }

    /// The refusal, if it is one.
    pub(super) fn refused(&self) -> Option<Refused> {
        (!self.status.is_success()).then(|| Refused::read(self.status, &self.body))
    }

    /// How long to wait before the same is asked again; `None` when that is longer than a command waits.
    pub(super) fn wait(&self) -> Option<Duration> {
        let seconds = self.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Some(Duration::from_secs(seconds.unwrap_or(1))).filter(|wait| *wait <= WAIT_MAX)
    }
}

/// The moment in a `Date` header (RFC 9110 section 5.6.7).
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_a_batch_has_its_status_its_wait_and_its_body() {
        let answer =
            json!({"id": "3", "status": 429, "headers": {"Retry-After": "7"}, "body": {"error": {"code": "TooManyRequests"}}});
        let reply = Reply::of_item(&answer).unwrap();
        assert_eq!((reply.status.as_u16(), reply.wait()), (429, Some(Duration::from_secs(7))));
        assert_eq!(reply.refused().map(|refused| refused.code), Some("TooManyRequests".into()));
        assert!(Reply::of_item(&json!({"id": "3"})).is_none());
        let patient = json!({"status": 503, "headers": {"Retry-After": "86400"}});
        assert_eq!(Reply::of_item(&patient).unwrap().wait(), None);
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(date(&headers), Timestamp::from_second(784_111_777).ok());
    }
}
