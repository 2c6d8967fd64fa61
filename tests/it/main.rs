//! Tests that drive several parts together over real sockets.

mod upstream;
