//! Every limit of the front in one place.

use std::{net::IpAddr, time::Duration};

/// What a client may take: time, connections and bytes.
///
/// The defaults suit a server that faces the internet (checklist D-01, D-02, D-08, D-11). Each time runs on its own: a client
/// that sends one byte a second meets [`head`](Self::head) all the same.
#[derive(Clone, Debug)]
pub struct Limits {
    /// TLS handshake, from accept. 10 s.
    pub handshake: Duration,
    /// First byte of a connection, from accept or the end of the handshake. 10 s.
    pub first_byte: Duration,
    /// A whole request head (or HTTP/2 preface and first request), from its first byte. 10 s.
    pub head: Duration,
    /// Between the end of a response and the first byte of the next request, on HTTP/2 with no open stream. 60 s.
    pub idle: Duration,
    /// A whole request body, from the end of its head. 30 s.
    pub body: Duration,
    /// A write that makes no progress because the client does not read. 30 s.
    pub write: Duration,
    /// How long a refused connection is still read, so that the refusal is not lost to a reset. 1 s.
    pub linger: Duration,
    /// In-flight requests after the shutdown signal. 30 s.
    pub drain: Duration,
    /// Open connections in all; further ones wait in the kernel's queue. 8,192.
    pub connections: usize,
    /// Open connections of one IPv4 address or IPv6 /64 network; further ones are closed at once. 256.
    pub connections_per_address: usize,
    /// Addresses of our own proxies, which speak for many clients: `connections_per_address` does not count them.
    pub uncounted: Vec<IpAddr>,
    /// Bytes of a request target. 8 KiB.
    pub target: usize,
    /// Header fields of a request; the cookie crumbs of HTTP/2 count as one. 64.
    pub fields: usize,
    /// Bytes of all header fields of a request with their separators. 16 KiB.
    pub field_bytes: usize,
    /// Bytes of a request body where no [`BodyLimit`](super::BodyLimit) says otherwise. 64 KiB.
    pub body_bytes: u64,
    /// HTTP/2: open streams of one connection. 100.
    pub streams: u32,
    /// HTTP/2: streams that the client may reset before we have looked at them (RUSTSEC-2024-0003). 20.
    pub pending_resets: usize,
    /// HTTP/2: streams that we may have to reset for the client's errors (RUSTSEC-2024-0332). 100.
    pub error_resets: usize,
    /// HTTP/2: how often a connection with open streams is pinged. 20 s.
    pub ping: Duration,
    /// HTTP/2: how long a ping may remain unanswered. 10 s.
    pub pong: Duration,
    /// How often certificate files are looked at. 10 s.
    pub certificate_poll: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            handshake: seconds(10),
            first_byte: seconds(10),
            head: seconds(10),
            idle: seconds(60),
            body: seconds(30),
            write: seconds(30),
            linger: seconds(1),
            drain: seconds(30),
            connections: 8_192,
            connections_per_address: 256,
            uncounted: Vec::new(),
            target: 8 * 1024,
            fields: 64,
            field_bytes: 16 * 1024,
            body_bytes: 64 * 1024,
            streams: 100,
            pending_resets: 20,
            error_resets: 100,
            ping: seconds(20),
            pong: seconds(10),
            certificate_poll: seconds(10),
        }
    }
}
