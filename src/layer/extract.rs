//! [`Guest`] as an argument of axum handlers.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_TYPE, request::Parts};

use super::Guest;
use crate::error::Code;

/// A handler asks for a [`Guest`], but its router is not behind a [`GuestLayer`](super::GuestLayer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a handler asks for the guest, but there is no GuestLayer around its router")]
pub struct GuestMissing;

impl IntoResponse for GuestMissing {
    /// A problem document; the reason is in the log, not in the answer.
    fn into_response(self) -> Response {
        tracing::error!("{self}");
        let code = Code::Internal;
        let document = serde_json::json!({
            "type": "about:blank",
            "title": "Internal Server Error",
            "status": 500,
            "detail": code.sentence(),
            "code": code.to_string(),
            "next": code.next_step(),
        });
        (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "application/problem+json")], document.to_string()).into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Guest {
    type Rejection = GuestMissing;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, GuestMissing> {
        parts.extensions.get::<Self>().cloned().ok_or(GuestMissing)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Guest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
