//! The strict reading of one HTTP/1 request head (RFC 9112 sections 2 to 6), line by line as it arrives.

use http::Uri;

use super::{Limits, Refusal};
use crate::error::Code;

/// How long a body is (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Bytes(u64),
    Chunked,
}

/// A head of which some lines have been read.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the line begins that has not been read.
    line: usize,
    /// Up to where that line has been searched for its end.
    searched: usize,
    /// Where the request line ended.
    fields_at: usize,
    fields: usize,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    old: bool,
    html: bool,
}

impl Head {
    /// Reads on in the octets of this head; they always start with its first one. `None`: more are needed.
    ///
    /// When the head is complete, its size with the empty line and the length of the body.
    pub(super) fn read(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<(usize, Length)>, Refusal> {
        loop {
            let end = match line_end(bytes, self.searched.max(self.line)) {
                LineEnd::At(end) => end,
                LineEnd::NotYet(searched) => {
                    self.searched = searched;
                    self.judge_size(bytes.len(), limits)?;
                    return Ok(None);
                }
                LineEnd::Invalid => return Err(Refusal::malformed("a line of the head has a control character in it")),
            };
            let line = &bytes[self.line..end];
            let first = self.line == 0;
            self.judge_size(end, limits)?;
            self.line = end + 2;
            if first {
                self.request_line(line, limits)?;
                self.fields_at = self.line;
            } else if line.is_empty() {
                return Ok(Some((self.line, self.body_length()?)));
            } else {
                self.field(line, limits)?;
            }
        }
    }

    /// Whether the client is known to take HTML.
    pub(super) fn takes_html(&self) -> bool {
        self.html
    }

    fn judge_size(&self, end: usize, limits: &Limits) -> Result<(), Refusal> {
        // Method, version and two spaces take less than 32 octets.
        if self.line == 0 && end > limits.target + 32 {
            return Err(Refusal::target_too_long());
        }
        if self.line > 0 && end - self.fields_at > limits.field_bytes {
            return Err(Refusal::fields_too_large("the header fields are too long"));
        }
        Ok(())
    }

    fn request_line(&mut self, line: &[u8], limits: &Limits) -> Result<(), Refusal> {
        let malformed = || Refusal::malformed("the request line is not a method, a target and HTTP/1.1");
        let mut words = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next()) else {
            return Err(malformed());
        };
        self.old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(malformed()),
        };
        if method.is_empty() || method.len() > 16 || !method.iter().all(|&byte| is_token(byte)) {
            return Err(malformed());
        }
        if method == b"CONNECT" {
            // What follows would be a tunnel's content, not a request (P-06).
            return Err(Refusal::new(Code::MethodRefused, "tunnels are not offered"));
        }
        if target.len() > limits.target {
            return Err(Refusal::target_too_long());
        }
        judge_target(target)
    }

    fn field(&mut self, line: &[u8], limits: &Limits) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > limits.fields {
            return Err(Refusal::fields_too_large("there are too many header fields"));
        }
        let (name, value) = split_field(line)?;
        // Few names matter, and their lengths tell most others apart.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.hosts += 1;
                if self.hosts > 1 {
                    return Err(Refusal::malformed("there are two Host fields"));
                }
            }
            6 if name.eq_ignore_ascii_case(b"accept") => {
                self.html |= value.windows(9).any(|part| part.eq_ignore_ascii_case(b"text/html"));
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                return Err(Refusal::malformed("no other protocol is offered on this connection"));
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Refusal::malformed("there are two Content-Length fields"));
                }
                let digits = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
                let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
                self.length = Some(length.ok_or(Refusal::malformed("Content-Length is not a number"))?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || value != b"chunked" {
                    return Err(Refusal::malformed("Transfer-Encoding is not exactly chunked"));
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn body_length(&self) -> Result<Length, Refusal> {
        match (self.hosts, self.length, self.chunked) {
            (0, ..) => Err(Refusal::malformed("there is no Host")),
            (_, Some(_), true) => Err(Refusal::malformed("there are both Content-Length and Transfer-Encoding")),
            (_, None, true) if self.old => Err(Refusal::malformed("HTTP/1.0 has no Transfer-Encoding")),
            (_, None, true) => Ok(Length::Chunked),
            (_, length, false) => Ok(Length::Bytes(length.unwrap_or(0))),
        }
    }
}

/// The first segment of the path that a head asks for, of which nothing else need be in order: a slash and 1 to 32 unreserved
/// characters (RFC 3986 section 2.3). Empty where there is no such segment.
pub(super) fn first_segment(head: &[u8]) -> &str {
    // A method has 16 octets at most.
    let target = head.iter().take(17).position(|&byte| byte == b' ').map_or(&[][..], |at| &head[at + 1..]);
    let is_unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let length = target.iter().skip(1).take_while(|byte| is_unreserved(byte)).count();
    let ends = matches!(target.get(length + 1), None | Some(b'/' | b'?' | b' '));
    let segment = target.get(..=length).filter(|segment| segment.starts_with(b"/") && (1..=32).contains(&length) && ends);
    segment.and_then(|segment| std::str::from_utf8(segment).ok()).unwrap_or_default()
}

/// Where a line ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// The index of its CR, which LF follows.
    At(usize),
    /// Not up to here; search on from this index.
    NotYet(usize),
    /// A bare CR, a bare LF, or another control character.
    Invalid,
}

/// Searches for the end of a line from an index on. Control characters, LF without CR and CR without LF are refused at once,
/// not only when the line is complete.
pub(super) fn line_end(bytes: &[u8], from: usize) -> LineEnd {
    let is_text = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    match bytes[from..].iter().position(|&byte| !is_text(byte)).map(|offset| from + offset) {
        None => LineEnd::NotYet(bytes.len()),
        Some(at) => match bytes[at..] {
            [b'\r', b'\n', ..] => LineEnd::At(at),
            [b'\r'] => LineEnd::NotYet(at),
            _ => LineEnd::Invalid,
        },
    }
}

/// Name and value of a field line, without the white space around the value (RFC 9112 section 5.1).
pub(super) fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if matches!(line, [b' ' | b'\t', ..]) {
        return Err(Refusal::malformed("a header field is folded over two lines"));
    }
    let colon = line.iter().position(|&byte| !is_token(byte)).filter(|&at| at > 0 && line[at] == b':');
    let Some(colon) = colon else { return Err(Refusal::malformed("a header field has no valid name")) };
    Ok((&line[..colon], line[colon + 1..].trim_ascii()))
}

fn judge_target(target: &[u8]) -> Result<(), Refusal> {
    if target.contains(&b'#') {
        return Err(Refusal::malformed("the target has a fragment"));
    }
    if !target.iter().all(u8::is_ascii_graphic) {
        return Err(Refusal::malformed("the target has octets that must be percent-encoded"));
    }
    // What the parser behind us would refuse is refused here, where the answer has a code.
    match (target, Uri::try_from(target)) {
        ([b'/', ..], Ok(_)) => Ok(()),
        (_, Ok(uri)) if uri.scheme().is_some() => Ok(()),
        _ => Err(Refusal::malformed("the target is neither a path nor a URL")),
    }
}

fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            let octet = byte as u8;
            table[byte] = octet.is_ascii_alphanumeric()
                || matches!(
                    octet,
                    b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
                );
            byte += 1;
        }
        table
    };
    TOKEN[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &[u8]) -> Result<Option<(usize, Length)>, Refusal> {
        Head::default().read(head, &Limits::default())
    }

    /// The reason, whether the head comes at once or octet by octet.
    fn refused(head: &[u8]) -> Option<&'static str> {
        let whole = read(head).err();
        let mut slow = Head::default();
        let bit_by_bit = (0..=head.len()).find_map(|end| slow.read(&head[..end], &Limits::default()).err());
        assert_eq!(whole, bit_by_bit, "{}", head.escape_ascii());
        whole.map(|refusal| refusal.reason())
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(read(head), Ok(Some((head.len(), Length::Bytes(0)))));
        for end in 0..head.len() {
            assert_eq!(read(&head[..end]), Ok(None), "{end}");
        }
        let post = b"POST /a?b HTTP/1.1\r\nhost:a\r\nCONTENT-LENGTH:\t7 \r\n\r\n1234567GET";
        assert_eq!(read(post), Ok(Some((post.len() - 10, Length::Bytes(7)))));
        let chunked = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(read(chunked), Ok(Some((chunked.len(), Length::Chunked))));
        assert_eq!(refused(b"GET http://a/b HTTP/1.0\r\nHost: a\r\n\r\n"), None);
    }

    #[test]
    fn the_first_segment_is_known_whatever_follows() {
        for (head, segment) in [
            (&b"GET /v1.0/users?a"[..], "/v1.0"),
            (b"GET /v1.0", "/v1.0"),
            (b"GET /v1.0?a HTTP/1.1", "/v1.0"),
            (b"NONE /v1.0 HTTP/9\n\0", "/v1.0"),
            (b"GET /v1.0%2fusers", ""),
            (b"GET //users", ""),
            (b"GET http://a/v1.0", ""),
            (b"GET v1.0/", ""),
            (b"GET / HTTP/1.1", ""),
            (b"GET /a\r\nb", ""),
            (b"GET ", ""),
            (b"GET", ""),
            (b"", ""),
        ] {
            assert_eq!(first_segment(head), segment, "{}", head.escape_ascii());
        }
        assert_eq!(first_segment(format!("GET /{}", "a".repeat(33)).as_bytes()), "");
    }

    #[test]
    fn p_08_a_request_line_is_three_words() {
        for line in [
            "GET  / HTTP/1.1",
            " GET / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET /\tHTTP/1.1",
            "GET /",
            "GET / HTTP/2.0",
            "GET / http/1.1",
            "GET / HTTP/1.2",
            "GET / HTTP/11",
            "G@T / HTTP/1.1",
            "GET:/ HTTP/1.1",
            "",
            "CONNECT a:443 HTTP/1.1",
            "GET * HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "GET a HTTP/1.1",
            "GET a:443 HTTP/1.1",
            "GET /# HTTP/1.1",
            "GET /a#b HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "GET ?a HTTP/1.1",
            "GET http:// HTTP/1.1",
            "GET //[ HTTP/1.1\u{1}",
            "GET /< HTTP/1.1",
            "PRI * HTTP/2.0",
            "AAAAAAAAAAAAAAAAA / HTTP/1.1",
        ] {
            assert!(refused(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()).is_some(), "{line}");
        }
    }

    #[test]
    fn p_08_ambiguous_framing_is_refused() {
        for fields in [
            "Host: a\r\nHost: b",
            "Host: a\r\nhost: a",
            "X: a",
            "Host : a",
            "Host\t: a",
            "Host: a\r\n X: b",
            " Host: a",
            "Host: a\r\n: b",
            "Host: a\r\nX",
            "Host: a\r\nX\u{0}: b",
            "Host: a\r\nX: \u{0}",
            "Host: a\r\nX: b\u{7f}",
            "Host: a\r\nX: b\rY: c",
            "Host: a\r\nX: b\nY: c",
            "Host: a\nX: b",
            "Host: a\r\nX Y: b",
            "Host: a\r\nX(: b",
            "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            "Host: a\r\nContent-Length: 5\r\nContent-Length: 5",
            "Host: a\r\nContent-Length: 5\r\nContent-Length: 6",
            "Host: a\r\nContent-Length: 5, 5",
            "Host: a\r\nContent-Length: +5",
            "Host: a\r\nContent-Length: -5",
            "Host: a\r\nContent-Length: 0x5",
            "Host: a\r\nContent-Length:",
            "Host: a\r\nContent-Length: 5 5",
            "Host: a\r\nContent-Length: 9999999999999999999",
            "Host: a\r\nTransfer-Encoding: identity, chunked",
            "Host: a\r\nTransfer-Encoding: chunked, identity",
            "Host: a\r\nTransfer-Encoding: chunked, chunked",
            "Host: a\r\nTransfer-Encoding: gzip",
            "Host: a\r\nTransfer-Encoding: Chunked",
            "Host: a\r\nTransfer-Encoding: \"chunked\"",
            "Host: a\r\nTransfer-Encoding:",
            "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Host: a\r\nTransfer-Encoding: \u{b}chunked",
            "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0",
            "Host: a\r\nUpgrade: websocket",
        ] {
            assert!(refused(format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n").as_bytes()).is_some(), "{}", fields.escape_debug());
        }
        assert!(refused(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").is_some());
        assert!(refused(b"GET / HTTP/1.1\r\n\r\n").is_some());
        assert!(refused(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").is_some());
        assert!(refused(b"\x16\x03\x01\x02\x00\x01\x00").is_some());
    }

    #[test]
    fn d_11_a_head_has_an_end_before_it_is_complete() {
        let limits = Limits::default();
        let status = |head: &[u8]| read(head).err().map(|refusal| refusal.code().status().as_u16());
        assert_eq!(status(format!("GET /{}", "a".repeat(limits.target + 64)).as_bytes()), Some(414));
        assert_eq!(status(format!("GET /{} HTTP/1.1\r\n", "a".repeat(limits.target)).as_bytes()), Some(414));
        let head = "GET / HTTP/1.1\r\nHost: a\r\n";
        assert_eq!(status(format!("{head}X: {}", "a".repeat(limits.field_bytes)).as_bytes()), Some(431));
        assert_eq!(status(format!("{head}{}", "X: a\r\n".repeat(limits.fields - 1)).as_bytes()), None);
        assert_eq!(status(format!("{head}{}", "X: a\r\n".repeat(limits.fields)).as_bytes()), Some(431));
    }
}
