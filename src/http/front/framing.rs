//! Follows the octets of one connection from request to request, and says how many of them are in order.
//!
//! No input, output or time in here: [`Wire`](super::wire::Wire) feeds it.

use super::{
    Limits, Refusal,
    head::{Head, Length, LineEnd, line_end, split_field},
};

/// What an HTTP/2 connection starts with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of all trailer fields of a body. Nothing here reads them.
const TRAILER_BYTES: usize = 2048;

/// Where in its messages a connection is.
#[derive(Debug)]
enum Phase {
    /// Nothing has come yet: HTTP/1 or HTTP/2.
    Start,
    Head(Head),
    /// So many octets of a body, or of HTTP/2, pass unseen.
    Content(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    /// So many octets of trailers may still come.
    Trailers(usize),
    Http2,
}

/// The judge of one connection.
#[derive(Debug)]
pub(super) struct Framing {
    phase: Phase,
    heads: u64,
}

/// What is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) refusal: Refusal,
    /// In the body of a request that is being handled: too late for an answer of its own.
    pub(super) in_body: bool,
    pub(super) html: bool,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Its first octet.
    Start,
    /// The first octet of another request.
    Request,
    /// The rest of the head with this number.
    Head(u64),
    Body,
    Http2,
}

impl Framing {
    pub(super) fn new() -> Self {
        Self { phase: Phase::Start, heads: 0 }
    }

    /// How many of these octets are in order, and what is wrong with those after.
    ///
    /// The octets start where those of the last call stopped being in order.
    pub(super) fn judge(&mut self, bytes: &[u8], limits: &Limits) -> (usize, Option<Violation>) {
        let mut judged = 0;
        loop {
            match self.step(&bytes[judged..], limits) {
                Ok(0) => return (judged, None),
                Ok(more) => judged += more,
                Err(refusal) => return (judged, Some(self.violation(refusal))),
            }
        }
    }

    /// The violation that the client is too slow with what it owes.
    pub(super) fn violation(&self, refusal: Refusal) -> Violation {
        let html = matches!(&self.phase, Phase::Head(head) if head.takes_html());
        Violation { refusal, in_body: self.waiting(true) == Waiting::Body, html }
    }

    /// How many of the next octets need no judging.
    pub(super) fn unseen(&self) -> u64 {
        match self.phase {
            Phase::Content(left) | Phase::Chunk(left) => left,
            Phase::Http2 => u64::MAX,
            _ => 0,
        }
    }

    /// Takes note of octets that [`unseen`](Self::unseen) let pass.
    pub(super) fn pass(&mut self, count: u64) {
        match &mut self.phase {
            Phase::Content(left) | Phase::Chunk(left) => *left = left.saturating_sub(count),
            _ => {}
        }
        self.settle();
    }

    /// What is awaited, given whether octets are there that have not been found in order yet.
    pub(super) fn waiting(&self, pending: bool) -> Waiting {
        match self.phase {
            Phase::Start if pending => Waiting::Head(0),
            Phase::Start => Waiting::Start,
            Phase::Head(_) if pending => Waiting::Head(self.heads),
            Phase::Head(_) => Waiting::Request,
            Phase::Http2 => Waiting::Http2,
            Phase::Content(_) | Phase::ChunkSize | Phase::Chunk(_) | Phase::ChunkEnd | Phase::Trailers(_) => Waiting::Body,
        }
    }

    /// Goes on to the next phase where nothing is left of this one.
    fn settle(&mut self) {
        match self.phase {
            Phase::Content(0) => self.phase = Phase::Head(Head::default()),
            Phase::Chunk(0) => self.phase = Phase::ChunkEnd,
            _ => {}
        }
    }

    fn step(&mut self, bytes: &[u8], limits: &Limits) -> Result<usize, Refusal> {
        if bytes.is_empty() {
            return Ok(0);
        }
        match &mut self.phase {
            Phase::Start => {
                if bytes.starts_with(PREFACE) {
                    self.phase = Phase::Http2;
                    return Ok(PREFACE.len());
                }
                if PREFACE.starts_with(bytes) {
                    return Ok(0);
                }
                self.phase = Phase::Head(Head::default());
                self.step(bytes, limits)
            }
            Phase::Head(head) => {
                let Some((size, length)) = head.read(bytes, limits)? else { return Ok(0) };
                self.heads += 1;
                self.phase = match length {
                    Length::Bytes(length) => Phase::Content(length),
                    Length::Chunked => Phase::ChunkSize,
                };
                self.settle();
                Ok(size)
            }
            Phase::Content(_) | Phase::Chunk(_) | Phase::Http2 => {
                let count = self.unseen().min(bytes.len() as u64);
                self.pass(count);
                Ok(usize::try_from(count).unwrap_or(bytes.len()))
            }
            Phase::ChunkSize => {
                let Some((size, line)) = chunk_size(bytes)? else { return Ok(0) };
                self.phase = if size == 0 { Phase::Trailers(TRAILER_BYTES) } else { Phase::Chunk(size) };
                Ok(line)
            }
            Phase::ChunkEnd => match bytes {
                [b'\r', b'\n', ..] => {
                    self.phase = Phase::ChunkSize;
                    Ok(2)
                }
                [b'\r'] => Ok(0),
                _ => Err(Refusal::malformed("a chunk is longer than it says")),
            },
            Phase::Trailers(left) => match line_end(bytes, 0) {
                LineEnd::At(0) => {
                    self.phase = Phase::Head(Head::default());
                    Ok(2)
                }
                LineEnd::At(end) if end + 2 <= *left => {
                    split_field(&bytes[..end])?;
                    *left -= end + 2;
                    Ok(end + 2)
                }
                LineEnd::NotYet(searched) if searched <= *left => Ok(0),
                LineEnd::At(_) | LineEnd::NotYet(_) => Err(Refusal::fields_too_large("the trailers are too long")),
                LineEnd::Invalid => Err(Refusal::malformed("a trailer has a control character in it")),
            },
        }
    }
}

/// A chunk's size, and the length of the line that says it (RFC 9112 section 7.1): one to eight hexadecimal digits, CR, LF.
///
/// Chunk extensions are refused. Nobody uses them but to make two readers disagree on where a line ends.
fn chunk_size(bytes: &[u8]) -> Result<Option<(u64, usize)>, Refusal> {
    let malformed = Err(Refusal::malformed("a chunk size is not a hexadecimal number on a line of its own"));
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    match (digits, &bytes[digits..]) {
        (1..=8, [b'\r', b'\n', ..]) => {
            let size = bytes[..digits].iter().filter_map(|&digit| char::from(digit).to_digit(16));
            Ok(Some((size.fold(0, |size, digit| size * 16 + u64::from(digit)), digits + 2)))
        }
        (1..=8, [] | [b'\r']) => Ok(None),
        _ => malformed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What passes of a stream that comes in pieces of these sizes, and how it ends.
    fn passed(stream: &[u8], pieces: &[usize]) -> (usize, Option<Violation>) {
        let (mut framing, limits) = (Framing::new(), Limits::default());
        let (mut judged, mut end) = (0, 0);
        let mut pieces = pieces.iter().cycle();
        while end < stream.len() {
            end = (end + pieces.next().copied().unwrap_or(1).max(1)).min(stream.len());
            let (more, violation) = framing.judge(&stream[judged..end], &limits);
            judged += more;
            if violation.is_some() {
                return (judged, violation);
            }
        }
        (judged, None)
    }

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn p_08_requests_in_a_row_are_followed() {
        let post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\r\n\0\n\n";
        let body = b"5\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX: y\r\n\r\n";
        let stream = [GET, post, CHUNKED, body, GET].concat();
        for pieces in [&[1][..], &[7], &[4096], &[1, 100, 3]] {
            assert_eq!(passed(&stream, pieces), (stream.len(), None));
        }
    }

    #[test]
    fn p_08_bytes_after_a_violation_do_not_pass() {
        for bad in ["\r\n", " ", "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"] {
            let stream = [GET, bad.as_bytes(), GET].concat();
            let (judged, violation) = passed(&stream, &[4096]);
            assert_eq!(
                (judged, violation.map(|violation| violation.in_body)),
                (GET.len(), Some(false)),
                "{}",
                bad.escape_debug()
            );
        }
    }

    #[test]
    fn p_08_chunks_are_hexadecimal_sizes_on_their_own_lines() {
        for body in [
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhelloX\r\n0\r\n\r\n",
            "5;a=b\r\nhello\r\n0\r\n\r\n",
            "5;\nhello\r\n0\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "\r\n0\r\n\r\n",
            "000000005\r\nhello\r\n0\r\n\r\n",
            "5\r\r\nhello\r\n0\r\n\r\n",
            "0\r\nX\r\n\r\n",
            "0\r\n X: y\r\n\r\n",
            "0\r\nX: \n\r\n",
            "0\r\n\n",
            "g\r\n",
        ] {
            let (_, violation) = passed(&[CHUNKED, body.as_bytes()].concat(), &[4096]);
            assert_eq!(violation.map(|violation| violation.in_body), Some(true), "{}", body.escape_debug());
        }
        let long = [CHUNKED, b"0\r\n", &b"X: y\r\n".repeat(TRAILER_BYTES)[..]].concat();
        assert!(passed(&long, &[4096]).1.is_some());
    }

    #[test]
    fn http_2_passes_from_its_preface_on() {
        let stream = [PREFACE, b"\0\0\0\x04\0\0\0\0\0 anything"].concat();
        assert_eq!(passed(&stream, &[1]), (stream.len(), None));
        assert_eq!(passed(&PREFACE[..23], &[5]), (0, None));
        let (judged, violation) = passed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\t", &[1]);
        assert_eq!(judged, 0);
        assert!(violation.is_some());
    }

    proptest! {
        /// Where a piece ends changes nothing, and nothing panics.
        #[test]
        fn p_08_pieces_do_not_matter(
            parts in prop::collection::vec(prop::sample::select(&[
                GET, CHUNKED, b"5\r\nhello\r\n", b"0\r\n\r\n", b"POST / HTTP/1.1\r\n", b"Host: a\r\n", b"Content-Length: 3\r\n", b"\r\n",
                b"\n", b"\r", b"a", b"\0", b" ", PREFACE, b"Transfer-Encoding: chunked\r\n",
            ][..]), 0..12),
            pieces in prop::collection::vec(1usize..40, 1..5),
        ) {
            let stream = parts.concat();
            prop_assert_eq!(passed(&stream, &[usize::MAX / 2]), passed(&stream, &pieces));
        }
    }
}
