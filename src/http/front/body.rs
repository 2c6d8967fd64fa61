//! Request bodies that end: in size, and in time.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tower::{Layer, Service};

use super::{Limits, Refusal};
use crate::error::Code;

/// What the front and the route know together about one request's body. In the request's extensions.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: AtomicU64,
    broken: AtomicU8,
}

/// Why a body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum BodyError {
    /// More bytes than the route takes.
    #[error("the request body is too large")]
    TooLarge = 1,
    /// Not complete in time.
    #[error("the request body took too long")]
    TooSlow = 2,
    /// The connection broke, or the body's framing did.
    #[error("the request body is not well-formed")]
    Broken = 3,
}

impl BodyError {
    fn refusal(self) -> Refusal {
        match self {
            Self::TooLarge => Refusal::new(Code::BodyTooLarge, "the request body is too large"),
            Self::TooSlow => Refusal::new(Code::TooSlow, "the request body took too long"),
            Self::Broken => Refusal::malformed("the request body is not well-formed"),
        }
    }
}

impl Budget {
    /// Why the body was cut, once a reader has met that end.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let all = [BodyError::TooLarge, BodyError::TooSlow, BodyError::Broken];
        let broken = self.broken.load(Ordering::Relaxed);
        all.into_iter().find(|error| *error as u8 == broken).map(BodyError::refusal)
    }

    fn cut(&self, error: BodyError) -> BodyError {
        self.broken.store(error as u8, Ordering::Relaxed);
        error
    }
}

/// A body that fails once it is larger or slower than its budget.
#[derive(Debug)]
pub(super) struct Guarded {
    inner: Body,
    budget: Arc<Budget>,
    seen: u64,
    deadline: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    /// Guards the body of a request and puts its [`Budget`] into the extensions.
    pub(super) fn install(mut request: Request<Body>, limits: &Limits) -> (Request<Body>, Arc<Budget>) {
        let budget = Arc::new(Budget { bytes: AtomicU64::new(limits.body_bytes), broken: AtomicU8::new(0) });
        request.extensions_mut().insert(Arc::clone(&budget));
        let deadline = Instant::now() + limits.body;
        let guarded = |inner| Self { inner, budget: Arc::clone(&budget), seen: 0, deadline, timer: None };
        let request = request.map(|inner| Body::new(guarded(inner)));
        (request, budget)
    }
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let limit = this.budget.bytes.load(Ordering::Relaxed);
        // A declared length is judged before the first byte is asked for, so `Expect: 100-continue` is never answered yes.
        if this.seen.saturating_add(this.inner.size_hint().lower()) > limit {
            return Poll::Ready(Some(Err(this.budget.cut(BodyError::TooLarge))));
        }
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.seen = this.seen.saturating_add(frame.data_ref().map_or(0, |data| data.len() as u64));
                if this.seen > limit {
                    return Poll::Ready(Some(Err(this.budget.cut(BodyError::TooLarge))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(%error, "a request body broke off");
                Poll::Ready(Some(Err(this.budget.cut(BodyError::Broken))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let deadline = this.deadline;
                let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                timer.as_mut().poll(cx).map(|()| Some(Err(this.budget.cut(BodyError::TooSlow))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Gives the routes below it another body limit, in bytes, than [`Limits::body_bytes`].
///
/// Only has a meaning inside [`Gate`](super::Gate), which enforces it: a handler that meets the end of its budget may answer
/// what it likes, the client gets VB6004. Where the limit is over 2 MiB, axum's own `DefaultBodyLimit` must be raised too.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub u64);

impl<S> Layer<S> for BodyLimit {
    type Service = WithBodyLimit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithBodyLimit { inner, limit: self.0 }
    }
}

/// The service of [`BodyLimit`].
#[derive(Clone, Debug)]
pub struct WithBodyLimit<S> {
    inner: S,
    limit: u64,
}

impl<S, B> Service<Request<B>> for WithBodyLimit<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        if let Some(budget) = request.extensions().get::<Arc<Budget>>() {
            budget.bytes.store(self.limit, Ordering::Relaxed);
        }
        self.inner.call(request)
    }
}
