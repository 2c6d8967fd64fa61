//! The gate as a tower service: judges heads, guards bodies, and dresses the refusals.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{body::Body, response::Response};
use http::{Request, request::Parts};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{
    Limits, Responder,
    body::{Budget, Guarded},
    gate,
};

/// The layer of [`Gate`]. [`serve`](super::serve) puts a gate around its service by itself; the layer is for services that are
/// reached in another way (in process, in tests). A request that passes two gates is judged by the outer one.
#[derive(Clone)]
pub struct GateLayer {
    limits: Arc<Limits>,
    responder: Responder,
}

impl GateLayer {
    /// A gate with these limits, of which it uses those on heads and bodies.
    #[must_use]
    pub fn new(limits: Arc<Limits>, responder: Responder) -> Self {
        Self { limits, responder }
    }
}

impl std::fmt::Debug for GateLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GateLayer").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, layer: self.clone() }
    }
}

/// Lets through what [`gate::judge`] finds in order, without foldable fields, with a body that ends in size and time.
#[derive(Clone, Debug)]
pub struct Gate<S> {
    inner: S,
    layer: GateLayer,
}

/// In the extensions of a request that has passed a gate.
#[derive(Clone, Copy)]
struct Passed;

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = GateFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if request.extensions().get::<Passed>().is_some() {
            return GateFuture { state: State::Passed { future: self.inner.call(request), guarded: None } };
        }
        let (mut parts, body) = request.into_parts();
        if let Err(refusal) = gate::judge(&parts, &self.layer.limits) {
            let response = refusal.respond(parts, &self.layer.responder);
            return GateFuture { state: State::Refused { response: Some(response) } };
        }
        gate::drop_foldable_fields(&mut parts.headers);
        parts.extensions.insert(Passed);
        if body.is_end_stream() {
            request = Request::from_parts(parts, body);
            return GateFuture { state: State::Passed { future: self.inner.call(request), guarded: None } };
        }
        let head = parts.clone();
        let (request, budget) = Guarded::install(Request::from_parts(parts, body), &self.layer.limits);
        let guarded = Some(Box::new(Answer { budget, head, responder: Arc::clone(&self.layer.responder) }));
        GateFuture { state: State::Passed { future: self.inner.call(request), guarded } }
    }
}

/// What it takes to answer in the place of a handler whose body was cut.
struct Answer {
    budget: Arc<Budget>,
    head: Parts,
    responder: Responder,
}

pin_project! {
    /// The future of [`Gate`].
    pub struct GateFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Refused { response: Option<Response> },
        Passed { #[pin] future: F, guarded: Option<Box<Answer>> },
    }
}

impl<F> Future for GateFuture<F>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
            StateProjection::Passed { future, guarded } => {
                let Ok(response) = ready!(future.poll(cx));
                // A handler that did its work in spite of a cut body has the last word.
                let failed = response.status().is_client_error() || response.status().is_server_error();
                Poll::Ready(Ok(match guarded.take().filter(|_| failed) {
                    Some(answer) => match answer.budget.refusal() {
                        Some(refusal) => refusal.respond(answer.head, &answer.responder),
                        None => response,
                    },
                    None => response,
                }))
            }
        }
    }
}

impl<F> std::fmt::Debug for GateFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GateFuture").finish_non_exhaustive()
    }
}
