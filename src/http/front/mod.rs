//! The front: our own way from a socket to a tower service, over HTTP/1 and HTTP/2, with or without TLS.
//!
//! [`serve`] owns the accept loop, because the loops of the libraries below have no limits (checklist D-01). From the
//! outside in a connection passes
//!
//! 1. the counters of open connections, in all and by origin;
//! 2. the TLS handshake, if the listener has TLS;
//! 3. the byte gate (`wire`), which follows HTTP/1 octet by octet and hands on only what has one meaning; HTTP/2 passes, its
//!    framing has one meaning by construction;
//! 4. hyper;
//! 5. the request gate ([`gate`], [`Gate`]), for both versions alike;
//! 6. the service.
//!
//! All times and sizes are in [`Limits`]. Refusals are answered by the [`Responder`], with a [`Code`](crate::error::Code); the
//! service never sees them. Nothing here knows tenants, pages or cookies. `CONNECT` and `Upgrade` are refused: no connection
//! becomes a tunnel.
//!
//! Behind a reverse proxy: put its addresses into [`Limits::uncounted`], and let it speak HTTP/1.1 or HTTP/2 without
//! merging requests of several clients into one pipeline.

mod body;
mod connections;
mod deadline;
mod exchange;
mod framing;
pub mod gate;
mod head;
mod limits;
mod refusal;
mod serve;
mod service;
mod tls;
mod wire;

pub use body::{BodyError, BodyLimit, WithBodyLimit};
pub use exchange::Peer;
pub use limits::Limits;
pub use refusal::{Refusal, Responder, problem, problems};
pub use serve::{Drained, FrontConfig, Listener, serve};
pub use service::{Gate, GateFuture, GateLayer};
pub use tls::{Tls, TlsError};
