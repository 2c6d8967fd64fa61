//! The tower service: the decision is [`Guard::admit`]; here it becomes a future.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::Service;

use super::guard::{Admission, Answer, Guard};

/// A service with a door in front of it. Made by [`GuestLayer`](super::GuestLayer).
///
/// Errors are the inner service's own; refusals are responses, with a [`Refusal`](super::Refusal) in their extensions.
#[derive(Clone)]
pub struct GuestService<S> {
    inner: S,
    guard: Arc<Guard>,
}

impl<S> GuestService<S> {
    pub(super) fn new(inner: S, guard: Arc<Guard>) -> Self {
        Self { inner, guard }
    }

    /// The service behind the door.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: std::fmt::Debug> std::fmt::Debug for GuestService<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for GuestService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let state = match self.guard.admit(&request) {
            Admission::Pass(guest) => {
                Guard::prepare(&mut request, guest);
                State::Passing { future: self.inner.call(request) }
            }
            Admission::Answer(answer) => {
                self.take_ready();
                State::answering(&self.guard, request, answer)
            }
            Admission::FetchKeys => {
                let guard = Arc::clone(&self.guard);
                let fetch = Box::pin(async move { guard.provider.refresh_keys().await });
                State::Fetching { fetch, waiting: Some(Box::new((self.take_ready(), request))), guard: Arc::clone(&self.guard) }
            }
        };
        ResponseFuture { state }
    }
}

impl<S: Clone> GuestService<S> {
    /// Takes the service that was found ready, and leaves a clone that has to be asked again. A request that does not reach
    /// the app so gives back the place (a permit, a buffer slot) that was kept for it.
    fn take_ready(&mut self) -> S {
        let clone = self.inner.clone();
        std::mem::replace(&mut self.inner, clone)
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pin_project! {
    /// The answer to come.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        /// The app answers.
        Passing { #[pin] future: S::Future },
        /// The layer answers.
        Answering { future: Boxed<Response<String>> },
        /// Keys are fetched for a token; then it is decided.
        Fetching { fetch: Boxed<()>, waiting: Option<Box<(S, Request<B>)>>, guard: Arc<Guard> },
    }
}

impl<S: Service<Request<B>>, B> State<S, B> {
    fn answering(guard: &Arc<Guard>, request: Request<B>, answer: Answer) -> Self {
        let (guard, (parts, _)) = (Arc::clone(guard), request.into_parts());
        Self::Answering { future: Box::pin(async move { guard.answer(parts, answer).await }) }
    }
}

impl<S: Service<Request<B>>, B> std::fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<String>,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut state = self.as_mut().project().state;
            let next = match state.as_mut().project() {
                StateProjection::Passing { future } => return future.poll(cx),
                StateProjection::Answering { future } => return future.as_mut().poll(cx).map(|answer| Ok(answer.map(R::from))),
                StateProjection::Fetching { fetch, waiting, guard } => {
                    ready!(fetch.as_mut().poll(cx));
                    let (mut inner, mut request) = *waiting.take().expect("polled again after it was ready");
                    match guard.admit_with_keys(&request) {
                        Admission::Pass(guest) => {
                            Guard::prepare(&mut request, guest);
                            State::Passing { future: inner.call(request) }
                        }
                        Admission::Answer(answer) => State::answering(guard, request, answer),
                        Admission::FetchKeys => State::answering(guard, request, Answer::Refuse(crate::error::Code::LiveStale)),
                    }
                }
            };
            state.set(next);
        }
    }
}
