//! Answers over the wire: JSON with the header fields of Graph, refusals in their envelope.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::{
    super::{urls::routes::DIRECTORY_API_ROOT, visit::Visit},
    about,
};
use crate::{
    error::Code,
    odata::{Answer, Error},
};

/// What is waited when the server cannot say for how long, in seconds.
const PATIENCE: u32 = 5;
/// After how many seconds to try again what would mail too much.
const MAIL_PATIENCE: u32 = 60 * 60;

/// What is answered to a request of its own.
pub(super) fn respond(visit: &Visit, answered: Result<Answer, Error>) -> Response {
    let answer = answered.unwrap_or_else(|error| refusal(visit, &error));
    let mut response = match &answer.body {
        Some(body) => (answer.status, serde_json::to_vec(body).expect("JSON is plain data")).into_response(),
        None => answer.status.into_response(),
    };
    let headers = response.headers_mut();
    headers.extend(answer.headers);
    if answer.body.is_some() {
        let json = "application/json;odata.metadata=minimal;charset=utf-8";
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(json));
        headers.insert("odata-version", HeaderValue::from_static("4.0"));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&visit.trace.0) {
        headers.insert("request-id", id);
    }
    if let Some(Ok(id)) = about(visit).client_request_id.map(HeaderValue::from_str) {
        headers.insert("client-request-id", id);
    }
    response
}

/// Whether a path is that of the directory API, or below.
pub(in crate::http) fn is_about(path: &str) -> bool {
    path.strip_prefix(DIRECTORY_API_ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer to a request to the directory API that is refused before it gets there.
pub(in crate::http) fn refuse(visit: &Visit, code: Code) -> Response {
    // The rest of the path may have an address in it (checklist W-04).
    tracing::info!(%code, path = DIRECTORY_API_ROOT, reason = visit.reason, trace = visit.trace.0, "refused: {}", code.sentence());
    let mut response = respond(visit, Err(code.into()));
    *response.status_mut() = code.status();
    response
}

/// A refusal in its envelope.
pub(super) fn refusal(visit: &Visit, error: &Error) -> Answer {
    if let Some(code) = error.ours() {
        metrics::counter!("vestibule_refusals_total", "code" => code.to_string()).increment(1);
    }
    let mut answer = Answer::json(error.status(), error.envelope(about(visit)));
    let patience = error.wait().or_else(|| match error.ours() {
        Some(Code::TooManyMails) => Some(MAIL_PATIENCE),
        _ => (error.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(PATIENCE),
    });
    if let Some(wait) = patience {
        answer.headers.insert(header::RETRY_AFTER, wait.into());
    }
    if error.status() == StatusCode::UNAUTHORIZED {
        // Without a token there is nothing to be wrong with it (RFC 6750 section 3.1).
        let presented = visit.headers.contains_key(header::AUTHORIZATION);
        let challenge = if presented { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        answer.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    answer
}
