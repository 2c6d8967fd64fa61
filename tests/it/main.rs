//! Tests over real sockets. One target, one module a subject.

mod front;
mod mail;
mod upstream;
