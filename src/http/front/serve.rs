//! The accept loop and the life of a connection.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http::Request;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};
use tower::{Layer, Service};

use super::{
    GateLayer, Limits, Peer, Responder, Tls,
    connections::Origins,
    exchange::{Connection, Exchange},
    problems,
    wire::Wire,
};
use crate::clock::{Entropy, SystemEntropy};

/// Where connections come in.
#[derive(Debug)]
pub struct Listener {
    /// The bound socket.
    pub tcp: TcpListener,
    /// With TLS, or in the clear.
    pub tls: Option<Tls>,
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self { tcp, tls: None }
    }
}

/// What [`serve`] is told beside listeners and service.
#[derive(Clone)]
pub struct FrontConfig {
    /// Times and sizes.
    pub limits: Arc<Limits>,
    /// Makes the answers to requests that are refused.
    pub responder: Responder,
    /// Where the mark of a refused connection comes from.
    pub entropy: Arc<dyn Entropy>,
}

impl Default for FrontConfig {
    fn default() -> Self {
        Self { limits: Arc::default(), responder: problems(), entropy: Arc::new(SystemEntropy) }
    }
}

impl std::fmt::Debug for FrontConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontConfig").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections and HTTP/2 streams that were still open after [`Limits::drain`], and have been cut off.
    pub cut: usize,
}

/// Serves until `shutdown` is ready, then finishes: no new connections, idle ones are closed, requests in flight have
/// [`Limits::drain`] to end.
///
/// The service is called behind [`Gate`](super::Gate), with `ConnectInfo<SocketAddr>` and [`Peer`] in the extensions. It should
/// be ready at all times. When the future is dropped, every connection is cut off.
pub async fn serve<S>(listeners: Vec<Listener>, service: S, config: FrontConfig, shutdown: impl Future<Output = ()>) -> Drained
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let front = Arc::new(Front::new(service, config));
    let _cut_when_dropped = front.cut.clone().drop_guard();
    let accepting = TaskTracker::new();
    for Listener { tcp, tls } in listeners {
        if let Some(tls) = tls.clone() {
            accepting.spawn(front.stop.clone().run_until_cancelled_owned(watch(tls, front.limits.certificate_poll)));
        }
        accepting.spawn(Arc::clone(&front).accept(tcp, tls));
    }
    accepting.close();
    shutdown.await;
    front.stop.cancel();
    accepting.wait().await;
    front.tasks.close();
    if timeout(front.limits.drain, front.tasks.wait()).await.is_ok() {
        return Drained { cut: 0 };
    }
    let cut = front.tasks.len();
    tracing::warn!(cut, "requests did not end in time and are cut off");
    front.cut.cancel();
    front.tasks.wait().await;
    Drained { cut }
}

/// Reloads changed certificate files.
async fn watch(tls: Tls, every: Duration) {
    loop {
        sleep(every).await;
        let files = tls.clone();
        match tokio::task::spawn_blocking(move || files.reload()).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => tracing::info!(?tls, "certificate replaced"),
            Ok(Err(error)) => tracing::error!(%error, "the new certificate cannot be used, the old one stays"),
            Err(error) => tracing::error!(%error, "the certificate could not be looked at"),
        }
    }
}

/// What all connections share.
struct Front<S> {
    service: S,
    limits: Arc<Limits>,
    responder: Responder,
    entropy: Arc<dyn Entropy>,
    http: auto::Builder<StreamTasks>,
    open: Arc<Semaphore>,
    origins: Arc<Origins>,
    tasks: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl<S> Front<super::Gate<S>> {
    fn new(service: S, config: FrontConfig) -> Self {
        let FrontConfig { limits, responder, entropy } = config;
        let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
        Self {
            service: GateLayer::new(Arc::clone(&limits), Arc::clone(&responder)).layer(service),
            http: http(&limits, StreamTasks { tasks: tasks.clone(), cut: cut.clone() }),
            open: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            origins: Arc::default(),
            stop: CancellationToken::new(),
            limits,
            responder,
            entropy,
            tasks,
            cut,
        }
    }
}

fn http(limits: &Limits, executor: StreamTasks) -> auto::Builder<StreamTasks> {
    let mut http = auto::Builder::new(executor);
    http.http1()
        .timer(TokioTimer::new())
        // The wire hands over whole heads, and times them; hyper's clock would also run between two requests.
        .header_read_timeout(None)
        .max_headers(limits.fields)
        .max_buf_size((limits.target + limits.field_bytes + 4096).max(64 * 1024));
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        // Twice what passes, so that our gate answers and not the library. Both sizes of the list count 32 octets a field.
        .max_header_list_size(u32::try_from(2 * (limits.target + limits.field_bytes + 128 * limits.fields)).unwrap_or(u32::MAX))
        // What a client that takes no data can make us hold, for each stream.
        .max_send_buf_size(64 * 1024)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(limits.error_resets)
        .keep_alive_interval(limits.ping)
        .keep_alive_timeout(limits.pong);
    http
}

/// Runs the streams of HTTP/2 connections where the front can wait for them and cut them off.
#[derive(Clone)]
struct StreamTasks {
    tasks: TaskTracker,
    cut: CancellationToken,
}

impl<F> hyper::rt::Executor<F> for StreamTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.tasks.spawn(self.cut.clone().run_until_cancelled_owned(future));
    }
}

impl<S> Front<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    async fn accept(self: Arc<Self>, listener: TcpListener, tls: Option<Tls>) {
        let acceptor = tls.map(|tls| TlsAcceptor::from(tls.config()));
        let mut pause = FIRST_PAUSE;
        loop {
            let next = async {
                // Closed never, so a permit always comes.
                let permit = Arc::clone(&self.open).acquire_owned().await.ok();
                (permit, listener.accept().await)
            };
            let Some((permit, accepted)) = self.stop.run_until_cancelled(next).await else { return };
            let (socket, addr) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => {
                    // Out of descriptors or memory. Connections that end give some back; spinning would not.
                    tracing::warn!(%error, "no connection can be accepted for now");
                    if self.stop.run_until_cancelled(sleep(pause)).await.is_none() {
                        return;
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            };
            pause = FIRST_PAUSE;
            let counted = !self.limits.uncounted.contains(&addr.ip().to_canonical());
            let limit = if counted { self.limits.connections_per_address } else { usize::MAX };
            let Some(slot) = self.origins.take(addr.ip(), limit) else {
                tracing::debug!(%addr, "too many connections of one origin");
                continue;
            };
            let (front, acceptor, cut) = (Arc::clone(&self), acceptor.clone(), self.cut.clone());
            self.tasks.spawn(cut.run_until_cancelled_owned(async move {
                front.connection(socket, addr, acceptor).await;
                drop((slot, permit));
            }));
        }
    }

    /// One connection from accept to close.
    async fn connection(&self, socket: TcpStream, addr: SocketAddr, acceptor: Option<TlsAcceptor>) {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%addr, %error, "TCP_NODELAY");
        }
        let peer = Peer { addr, tls: acceptor.is_some() };
        let socket = match acceptor {
            None => Either::Left(socket),
            Some(acceptor) => {
                let handshake = self.stop.run_until_cancelled(timeout(self.limits.handshake, acceptor.accept(socket)));
                match handshake.await {
                    Some(Ok(Ok(socket))) => Either::Right(socket),
                    Some(Ok(Err(error))) => return tracing::debug!(%addr, %error, "TLS handshake failed"),
                    Some(Err(_)) => return tracing::debug!(%addr, "TLS handshake took too long"),
                    None => return,
                }
            }
        };
        let shared = Connection::new(peer, &*self.entropy);
        let wire = Wire::new(socket, Arc::clone(&shared), Arc::clone(&self.limits));
        let exchange = Exchange::new(self.service.clone(), Arc::clone(&shared), Arc::clone(&self.responder));
        let mut serving = pin!(self.http.serve_connection(TokioIo::new(wire), exchange));
        let ended = tokio::select! {
            biased;
            ended = &mut serving => Some(ended),
            () = self.stop.cancelled() => None,
            () = shared.expired() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%addr, error, "connection ended");
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The client had gone before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
