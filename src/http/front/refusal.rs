//! How a request is refused before anybody has looked at what it wants.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use http::{HeaderValue, header, request::Parts};

use crate::error::Code;

/// Why the front refuses a request. It is in the extensions of the [`Parts`] that a [`Responder`] gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: Code,
    reason: &'static str,
}

impl Refusal {
    /// A refusal. `reason` is for the client's developer: a short clause, nothing of the request.
    #[must_use]
    pub fn new(code: Code, reason: &'static str) -> Self {
        Self { code, reason }
    }

    /// The request is ambiguous or malformed.
    pub(super) fn malformed(reason: &'static str) -> Self {
        Self::new(Code::RequestRefused, reason)
    }

    /// The target is longer than the limit (414, RFC 9110 section 15.5.15).
    pub(super) fn target_too_long() -> Self {
        Self::new(Code::TargetTooLong, "the request target is too long")
    }

    /// The header fields are more or longer than the limit (431, RFC 6585 section 5).
    pub(super) fn fields_too_large(reason: &'static str) -> Self {
        Self::new(Code::HeadersTooLarge, reason)
    }

    /// The code that people and programs quote.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// What is wrong with the request, in a few words.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// Whether the connection cannot be trusted any further.
    fn closes(&self) -> bool {
        matches!(self.code, Code::RequestRefused | Code::TargetTooLong | Code::HeadersTooLarge | Code::TooSlow)
    }

    /// The whole answer: the responder's, with the status and the headers that the protocol wants.
    pub(super) fn respond(self, mut parts: Parts, responder: &Responder) -> Response {
        parts.extensions.insert(self);
        let mut response = responder(&parts, self.code);
        *response.status_mut() = self.code.status();
        if self.code == Code::MethodRefused {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(super::gate::ALLOWED_METHODS));
        }
        if self.closes() && parts.version <= http::Version::HTTP_11 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Makes the answer to a refused request: a page for people, a problem document for programs.
///
/// Status, `Allow` and `Connection` are set afterwards by the front.
pub type Responder = Arc<dyn Fn(&Parts, Code) -> Response + Send + Sync>;

/// The [`Responder`] that always answers with a problem document (RFC 9457).
#[must_use]
pub fn problems() -> Responder {
    Arc::new(problem)
}

/// A problem document (RFC 9457). Beside the registered members it has `code`, `next` (what to do) and, where the front
/// knows it, `reason`.
#[must_use]
pub fn problem(parts: &Parts, code: Code) -> Response {
    let refusal = parts.extensions.get::<Refusal>().filter(|refusal| refusal.code == code);
    let status = code.status();
    let mut document = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Refused"),
        "status": status.as_u16(),
        "detail": code.sentence(),
        "code": code.to_string(),
        "next": code.next_step(),
    });
    if let Some(refusal) = refusal {
        document["reason"] = refusal.reason.into();
    }
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
