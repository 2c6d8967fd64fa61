//! The web face of the server.

pub mod front;
