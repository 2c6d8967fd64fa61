//! One connection's requests: what is known about its client, how many are open, and whether the wire has refused.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use axum::{body::Body, extract::ConnectInfo, response::Response};
use futures_util::task::AtomicWaker;
use http::{Request, Uri};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tower::{Service, ServiceExt, util::Oneshot};

use super::{Refusal, Responder};
use crate::{clock::Entropy, secret::Secret};

/// Who is at the other end of the connection; in the extensions of every request, beside axum's `ConnectInfo<SocketAddr>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address that the connection comes from: a client's, or a proxy's.
    pub addr: SocketAddr,
    /// Whether it speaks TLS with us.
    pub tls: bool,
}

/// What [`Wire`](super::wire::Wire) and [`Exchange`] share.
#[derive(Debug)]
pub(super) struct Connection {
    peer: Peer,
    /// What the path of the request that stands for a refused one begins with. Random, so no client can send it.
    marker: Secret,
    refusal: OnceLock<Refusal>,
    in_flight: AtomicUsize,
    served: AtomicU64,
    reader: AtomicWaker,
    expired: Notify,
}

impl Connection {
    pub(super) fn new(peer: Peer, entropy: &dyn Entropy) -> Arc<Self> {
        Arc::new(Self {
            peer,
            marker: Secret::random(entropy),
            refusal: OnceLock::new(),
            in_flight: AtomicUsize::new(0),
            served: AtomicU64::new(0),
            reader: AtomicWaker::new(),
            expired: Notify::new(),
        })
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    /// Remembers why the wire refuses, and makes the request that stands for it. Of what was asked for it knows the first segment
    /// of the path, with its slash, where there was one.
    pub(super) fn refuse(&self, refusal: Refusal, html: bool, segment: &str) -> String {
        // The first reason stands; the wire stops after it.
        let _ = self.refusal.set(refusal);
        let accept = if html { "text/html" } else { "application/problem+json" };
        let marker = self.marker.expose();
        format!("GET /{marker}{segment} HTTP/1.1\r\nhost: refused.invalid\r\naccept: {accept}\r\nconnection: close\r\n\r\n")
    }

    /// Why the wire has refused, if this is the request that says so, and what had been asked for.
    fn refused(&self, path: &str) -> Option<(Refusal, Uri)> {
        let refusal = self.refusal.get()?;
        let segment = path.strip_prefix('/')?.strip_prefix(self.marker.expose())?;
        Some((*refusal, segment.parse().unwrap_or_default()))
    }

    /// Requests whose answers are not complete, and requests in all.
    pub(super) fn load(&self) -> (usize, u64) {
        (self.in_flight.load(Ordering::Acquire), self.served.load(Ordering::Acquire))
    }

    /// Remembers whom to wake when the connection may have become idle.
    pub(super) fn wait_for_idle(&self, reader: &Waker) {
        self.reader.register(reader);
    }

    /// Has the reader look again at what it waits for.
    pub(super) fn wake_reader(&self) {
        self.reader.wake();
    }

    /// The connection has been idle for too long; see [`expired`](Self::expired).
    pub(super) fn expire(&self) {
        self.expired.notify_one();
    }

    /// Until the connection has been idle for too long.
    pub(super) async fn expired(&self) {
        self.expired.notified().await;
    }
}

/// Counts one request as open.
struct Open(Arc<Connection>);

impl Open {
    fn new(connection: &Arc<Connection>) -> Self {
        connection.served.fetch_add(1, Ordering::AcqRel);
        connection.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(connection))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.wake_reader();
        }
    }
}

/// The service of one connection, as hyper wants it.
#[derive(Clone)]
pub(super) struct Exchange<S> {
    service: S,
    connection: Arc<Connection>,
    responder: Responder,
}

impl<S> Exchange<S> {
    pub(super) fn new(service: S, connection: Arc<Connection>, responder: Responder) -> Self {
        Self { service, connection, responder }
    }
}

impl<S> hyper::service::Service<Request<Incoming>> for Exchange<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone,
{
    type Response = http::Response<Tracked>;
    type Error = Infallible;
    type Future = Answering<Oneshot<S, Request<Body>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let open = Some(Open::new(&self.connection));
        let refusal = self.connection.refused(request.uri().path());
        let (mut parts, body) = request.into_parts();
        if let Some((refusal, uri)) = refusal {
            parts.uri = uri;
            let response = refusal.respond(parts, &self.responder);
            return Answering { state: State::Refused { response: Some(response) }, open };
        }
        parts.extensions.insert(ConnectInfo(self.connection.peer.addr));
        parts.extensions.insert(self.connection.peer);
        let body = if body.is_end_stream() { Body::empty() } else { Body::new(body) };
        let future = self.service.clone().oneshot(Request::from_parts(parts, body));
        Answering { state: State::Called { future }, open }
    }
}

pin_project! {
    /// The future of [`Exchange`].
    pub(super) struct Answering<F> {
        #[pin]
        state: State<F>,
        open: Option<Open>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Refused { response: Option<Response> },
        Called { #[pin] future: F },
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Answering<F> {
    type Output = Result<http::Response<Tracked>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = match this.state.project() {
            StateProjection::Refused { response } => match response.take() {
                Some(response) => response,
                None => return Poll::Pending,
            },
            StateProjection::Called { future } => {
                let Ok(response) = ready!(future.poll(cx));
                response
            }
        };
        let open = this.open.take();
        Poll::Ready(Ok(response.map(|body| Tracked { body, open })))
    }
}

pin_project! {
    /// A response body; its request is open until it is dropped.
    pub(super) struct Tracked {
        #[pin]
        body: Body,
        open: Option<Open>,
    }
}

impl http_body::Body for Tracked {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<bytes::Bytes>, axum::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
