//! What a request is answered, of its own or in a batch.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers: `Retry-After`, `Location`, `ETag`. In a batch, what is not text is left out.
    pub headers: HeaderMap,
    /// Its body, which is JSON.
    pub body: Option<Value>,
}

impl Answer {
    /// An answer without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: None }
    }

    /// An answer with a body.
    #[must_use]
    pub fn json(status: StatusCode, body: Value) -> Self {
        Self { body: Some(body), ..Self::empty(status) }
    }
}
