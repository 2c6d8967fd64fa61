//! Answers over the wire: JSON with the header fields of Graph, refusals in their envelope.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::{super::visit::Visit, about};
use crate::odata::{Answer, Error};

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

/// A refusal in its envelope.
pub(super) fn refusal(visit: &Visit, error: &Error) -> Answer {
    if let Some(code) = error.ours() {
        metrics::counter!("vestibule_refusals_total", "code" => code.to_string()).increment(1);
    }
    let mut answer = Answer::json(error.status(), error.envelope(about(visit)));
    if let Some(wait) = error.wait() {
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
