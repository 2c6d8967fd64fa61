//! The error envelope of Graph (facts 5.2), and the codes in it.

use std::{borrow::Cow, fmt};

use http::StatusCode;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use crate::error::Code;

macro_rules! codes {
    ($($name:ident $status:ident $text:literal $doc:literal;)*) => {
        /// The `code` of the envelope. Programs may branch on it, and on the status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $doc] $name,)*
        }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As it is written in the envelope.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }
        }
    };
}

codes! {
    BadRequest BAD_REQUEST "BadRequest" "The request is malformed, or names what does not exist.";
    RequestBadRequest BAD_REQUEST "Request_BadRequest" "A property has a value that it cannot have.";
    UnsupportedQuery BAD_REQUEST "Request_UnsupportedQuery" "A property does not offer what the query asks of it.";
    ExpiredPageToken BAD_REQUEST "Directory_ExpiredPageToken" "The page token is too old.";
    InvalidAuthenticationToken UNAUTHORIZED "InvalidAuthenticationToken" "There is no access token, or it is not valid here.";
    Forbidden FORBIDDEN "Forbidden" "The policy of the organisation forbids it.";
    AuthorizationRequestDenied FORBIDDEN "Authorization_RequestDenied" "The caller has not been given the permission.";
    ResourceNotFound NOT_FOUND "Request_ResourceNotFound" "There is no such resource, or not for this caller.";
    MethodNotAllowed METHOD_NOT_ALLOWED "MethodNotAllowed" "The resource does not know the method.";
    RequestTimeout REQUEST_TIMEOUT "RequestTimeout" "The request took too long to arrive.";
    Conflict CONFLICT "Conflict" "Something else changed the resource at the same moment.";
    MultipleObjectsWithSameKeyValue CONFLICT "Request_MultipleObjectsWithSameKeyValue" "Another object has this value already.";
    PreconditionFailed PRECONDITION_FAILED "PreconditionFailed" "The resource is no longer what `If-Match` says.";
    RequestTooLarge PAYLOAD_TOO_LARGE "RequestEntityTooLarge" "The body is too large.";
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "UnsupportedMediaType" "The body is not JSON.";
    FailedDependency FAILED_DEPENDENCY "FailedDependency" "An item of the batch that this one depends on failed.";
    TooManyRequests TOO_MANY_REQUESTS "TooManyRequests" "Wait for as long as `Retry-After` says.";
    InternalServerError INTERNAL_SERVER_ERROR "InternalServerError" "Something went wrong on our side.";
    NotImplemented NOT_IMPLEMENTED "NotImplemented" "OData has it; this server does not.";
    ServiceUnavailable SERVICE_UNAVAILABLE "ServiceUnavailable" "Nothing was changed; try again.";
}

impl ErrorCode {
    /// The code that says of a request to a resource what ours says.
    fn of(code: Code) -> Self {
        match code {
            Code::TokenInvalid => Self::InvalidAuthenticationToken,
            _ => match code.status().as_u16() {
                401 => Self::InvalidAuthenticationToken,
                403 => Self::AuthorizationRequestDenied,
                404 => Self::ResourceNotFound,
                405 => Self::MethodNotAllowed,
                408 => Self::RequestTimeout,
                409 => Self::Conflict,
                412 => Self::PreconditionFailed,
                413 => Self::RequestTooLarge,
                415 => Self::UnsupportedMediaType,
                429 => Self::TooManyRequests,
                503 => Self::ServiceUnavailable,
                400..=499 => Self::BadRequest,
                _ => Self::InternalServerError,
            },
        }
    }
}

/// A refusal: what becomes the envelope. Messages are English, for developers, and repeat nothing but what the caller sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: ErrorCode,
    message: Cow<'static, str>,
    ours: Option<Code>,
    retry_after: Option<u32>,
}

/// Of which request an envelope speaks.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The trace id that is in our log.
    pub request_id: &'a str,
    /// The header `client-request-id` of the request.
    pub client_request_id: Option<&'a str>,
    /// Now.
    pub date: Timestamp,
}

impl Error {
    /// A refusal with a message.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), ours: None, retry_after: None }
    }

    /// 400 `BadRequest`.
    #[must_use]
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// 400 `Request_UnsupportedQuery`.
    #[must_use]
    pub fn unsupported_query(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::UnsupportedQuery, message)
    }

    /// 501 `NotImplemented`.
    #[must_use]
    pub fn not_implemented(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::NotImplemented, message)
    }

    /// 404 `Request_ResourceNotFound`; the same words for what never was, what was deleted and what the caller may not see.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(ErrorCode::ResourceNotFound, "The resource does not exist, or one of the objects that it refers to does not.")
    }

    /// 429 with `Retry-After`, in seconds.
    #[must_use]
    pub fn too_many_requests(retry_after: u32) -> Self {
        Self::from(Code::TooMany).retry_after(retry_after)
    }

    /// With our own code, which has a row in `docs/errors.md`. Code and status of the envelope stay.
    #[must_use]
    pub fn with(self, ours: Code) -> Self {
        Self { ours: Some(ours), ..self }
    }

    /// With the time to wait, in seconds: the header `Retry-After` of the answer.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The code of the envelope.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Our own code, where there is one.
    #[must_use]
    pub fn ours(&self) -> Option<Code> {
        self.ours
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// What to write into `Retry-After`, in seconds.
    #[must_use]
    pub fn wait(&self) -> Option<u32> {
        self.retry_after
    }

    /// What went wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The envelope: `{"error": {"code", "message", "innerError": {"date", "request-id", "client-request-id", "vbCode"}}}`.
    /// Without an id of the client's, `client-request-id` is ours, as in Graph.
    #[must_use]
    pub fn envelope(&self, about: About<'_>) -> Value {
        let mut inner = json!({
            "date": about.date.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            "request-id": about.request_id,
            "client-request-id": about.client_request_id.unwrap_or(about.request_id),
        });
        if let Some(ours) = self.ours {
            inner["vbCode"] = Value::String(ours.to_string());
        }
        json!({ "error": { "code": self.code.as_str(), "message": self.message, "innerError": inner } })
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(ErrorCode::of(code), format!("{} {}", code.sentence(), code.next_step())).with(code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Error {}

/// The caller's own text for a message: at most 64 characters of it, nothing that is not seen.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 64;
    let mut shown: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_has_the_members_of_graph() {
        let about = About { request_id: "r-1", client_request_id: Some("c\"1"), date: Timestamp::UNIX_EPOCH };
        let inner = json!({"date": "1970-01-01T00:00:00", "request-id": "r-1", "client-request-id": "c\"1"});
        let envelope = json!({"error": {"code": "BadRequest", "message": "A \"quoted\" <b>", "innerError": inner}});
        assert_eq!(Error::bad_request("A \"quoted\" <b>").envelope(about), envelope);
        let unavailable = Error::from(Code::StoreUnavailable).retry_after(5);
        let envelope = unavailable.envelope(About { client_request_id: None, ..about });
        assert_eq!(envelope["error"]["innerError"]["vbCode"], "VB9002");
        assert_eq!(envelope["error"]["innerError"]["client-request-id"], "r-1");
        assert_eq!((unavailable.status().as_u16(), unavailable.wait()), (503, Some(5)));
    }

    #[test]
    fn each_of_our_codes_keeps_its_status_where_graph_has_it() {
        for code in Code::ALL {
            let (status, ours) = (Error::from(*code).status(), code.status());
            let folded = status == ours || (status == 400 && ours.is_client_error()) || (status == 500 && ours.is_server_error());
            assert!(folded, "{code}: {status} for {ours}");
        }
        assert_eq!(Error::from(Code::TokenInvalid).code(), ErrorCode::InvalidAuthenticationToken);
        assert_eq!(Error::too_many_requests(3).wait(), Some(3));
    }

    #[test]
    fn codes_are_spelt_once() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }

    #[test]
    fn what_the_caller_sent_is_cut_and_made_visible() {
        assert_eq!(shown("a\r\nb\0"), "a\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(shown(&"ä".repeat(65)), format!("{}…", "ä".repeat(64)));
        assert_eq!(shown(&"ä".repeat(64)), "ä".repeat(64));
    }
}
