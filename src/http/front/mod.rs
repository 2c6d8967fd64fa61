//! The front.

mod body;
mod framing;
pub mod gate;
mod head;
mod limits;
mod refusal;
mod service;

pub use body::{BodyError, BodyLimit, WithBodyLimit};
pub use limits::Limits;
pub use refusal::{Refusal, Responder, problem, problems};
pub use service::{Gate, GateFuture, GateLayer};
