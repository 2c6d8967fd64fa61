//! What a request must look like, whatever version of HTTP it came by: pure functions on its head.
//!
//! Anything that two readers could understand in two ways is refused, so that what is judged here is what the app sees
//! (checklist 3.2). Nothing is repaired, with one exception: header fields whose names an application gateway could fold
//! into another's (`X_Guest_Email`) are dropped ([`drop_foldable_fields`], H-03).

use std::{net::Ipv6Addr, str};

use http::{HeaderMap, HeaderName, Method, Uri, Version, header, request::Parts};

use super::{Limits, Refusal};
use crate::error::Code;

/// The `Allow` header of a refused method.
pub(super) const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Judges a request's head.
///
/// # Errors
/// The [`Refusal`] to answer with:
/// 405 for a method other than [GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS]; 415 for any `Content-Encoding`; 414 and 431
/// over the limits of target and fields; else 400, see [`judge_path`] and [`judge_authority`] for targets, and: no `Host`, two,
/// or one that differs from the target's authority; octets over 0x7F in fields that are read here (cookies are judged one by
/// one, elsewhere); a field repeated that has one value.
pub fn judge(parts: &Parts, limits: &Limits) -> Result<(), Refusal> {
    judge_method(&parts.method)?;
    if !matches!(parts.version, Version::HTTP_10 | Version::HTTP_11 | Version::HTTP_2) {
        return Err(Refusal::malformed("this version of HTTP is not served"));
    }
    judge_target(&parts.uri, limits)?;
    judge_fields(&parts.headers, limits)?;
    judge_host(parts)
}

fn judge_method(method: &Method) -> Result<(), Refusal> {
    // Compared as written: `get` is another method (RFC 9110 section 9.1).
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS => Ok(()),
        _ => Err(Refusal::new(Code::MethodRefused, "the method is not offered")),
    }
}

fn judge_target(uri: &Uri, limits: &Limits) -> Result<(), Refusal> {
    if uri.path().len() + uri.query().map_or(0, str::len) > limits.target {
        return Err(Refusal::target_too_long());
    }
    if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
        return Err(Refusal::malformed("the target has a scheme other than http and https"));
    }
    judge_path(uri.path().as_bytes()).map_err(Refusal::malformed)?;
    match uri.query() {
        Some(query) if !query.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(Refusal::malformed("the query has octets that must be percent-encoded"))
        }
        _ => Ok(()),
    }
}

/// Judges a path, percent-encoded as on the wire and without query: it must mean one thing to every reader.
///
/// # Errors
/// What is ambiguous: no leading `/`; `//`; a segment `.` or `..`; `\`, `;`, `#`, control characters, octets over 0x7F; a
/// percent sign without two hexadecimal digits; an escape for `/`, `\`, `.`, a control character, an octet sequence that is
/// not UTF-8, or another escape (`%252e`).
pub fn judge_path(path: &[u8]) -> Result<(), &'static str> {
    let Some((b'/', rest)) = path.split_first() else { return Err("the path does not start with a slash") };
    let mut segments = rest.split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            b"." | b".." => return Err("the path has a dot segment"),
            b"" if segments.peek().is_some() => return Err("the path has an empty segment"),
            _ => {}
        }
    }
    let mut bytes = rest.iter();
    let mut escaped = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                escaped = true;
                let [high, low, after @ ..] = bytes.as_slice() else { return Err("the path has an incomplete escape") };
                let (Some(high), Some(low)) = (hex(*high), hex(*low)) else { return Err("the path has an invalid escape") };
                match high * 16 + low {
                    b'/' | b'\\' => return Err("the path has an escaped slash"),
                    b'.' => return Err("the path has an escaped dot"),
                    0..0x20 | 0x7f => return Err("the path has an escaped control character"),
                    b'%' if matches!(after, [a, b, ..] if hex(*a).is_some() && hex(*b).is_some()) => {
                        return Err("the path has an escape within an escape");
                    }
                    _ => bytes = after.iter(),
                }
            }
            b'\\' => return Err("the path has a backslash"),
            b';' => return Err("the path has a semicolon"),
            b'#' | b'?' => return Err("the path has a fragment or query"),
            byte if !byte.is_ascii_graphic() => return Err("the path has octets that must be percent-encoded"),
            _ => {}
        }
    }
    if escaped { judge_decoded(rest) } else { Ok(()) }
}

/// Overlong forms (`%c0%af`) and C1 controls, which some decoders turn into something else.
fn judge_decoded(path: &[u8]) -> Result<(), &'static str> {
    match str::from_utf8(&percent_decoded(path)) {
        Ok(text) if text.chars().any(char::is_control) => Err("the path has an escaped control character"),
        Ok(_) => Ok(()),
        Err(_) => Err("the path has escapes that are not UTF-8"),
    }
}

/// Decoded once; what is not an escape stays.
fn percent_decoded(mut bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    while let [first, rest @ ..] = bytes {
        let escape = match bytes {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        decoded.push(escape.map_or(*first, |(high, low)| high * 16 + low));
        bytes = if escape.is_some() { &rest[2..] } else { rest };
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Judges a host with an optional port: a name of letters, digits, `-` and `_` in labels (a trailing dot is allowed), an
/// IPv4 address, or an IPv6 address in brackets. No user information, no percent-encoding, no non-ASCII name.
#[must_use]
pub fn judge_authority(authority: &[u8]) -> bool {
    if let [b'[', rest @ ..] = authority {
        let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
        let address = str::from_utf8(&rest[..end]).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
        return address && is_port(&rest[end + 1..]);
    }
    let colon = authority.iter().position(|&byte| byte == b':').unwrap_or(authority.len());
    let (host, port) = authority.split_at(colon);
    let name = host.strip_suffix(b".").unwrap_or(host);
    let is_label = |label: &[u8]| {
        (1..=63).contains(&label.len()) && label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split(|&byte| byte == b'.').all(is_label) && is_port(port)
}

/// Nothing, or a colon and a number from 1 to 65535 without leading zeros.
fn is_port(bytes: &[u8]) -> bool {
    match bytes {
        [] => true,
        [b':', digits @ ..] => {
            matches!(digits, [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit))
                && str::from_utf8(digits).is_ok_and(|text| text.parse::<u16>().is_ok())
        }
        _ => false,
    }
}

fn judge_host(parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (host, None) => host.map(http::HeaderValue::as_bytes),
        (_, Some(_)) => return Err(Refusal::malformed("there are two Host fields")),
    };
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    // HTTP/2 may leave `host` out where `:authority` is (RFC 9113 section 8.3.1), HTTP/1 may not (RFC 9112 section 3.2).
    let judged = match (host, authority) {
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
            return Err(Refusal::malformed("the target's authority and Host differ"));
        }
        (Some(host), _) => host,
        (None, Some(authority)) if parts.version == Version::HTTP_2 => authority,
        (None, _) => return Err(Refusal::malformed("there is no Host")),
    };
    if judge_authority(judged) { Ok(()) } else { Err(Refusal::malformed("Host is not a host name with an optional port")) }
}

fn judge_fields(headers: &HeaderMap, limits: &Limits) -> Result<(), Refusal> {
    let (mut bytes, mut fields, mut previous) = (0usize, 0usize, None);
    for (name, value) in headers {
        bytes = bytes.saturating_add(name.as_str().len() + value.len() + 4);
        let repeated = previous == Some(name);
        fields += usize::from(!(repeated && *name == header::COOKIE));
        let read = Read::of(name);
        if repeated && read == Read::Once {
            return Err(Refusal::malformed("a field that has one value is there twice"));
        }
        if read != Read::Never && !value.as_bytes().is_ascii() {
            return Err(Refusal::malformed("a field has octets outside of ASCII"));
        }
        previous = Some(name);
    }
    if bytes > limits.field_bytes {
        return Err(Refusal::fields_too_large("the header fields are too long"));
    }
    if fields > limits.fields {
        return Err(Refusal::fields_too_large("there are too many header fields"));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        // Compressed bodies are a way to make a small request large (D-03).
        return Err(Refusal::new(Code::MediaTypeUnsupported, "Content-Encoding is not accepted"));
    }
    Ok(())
}

/// How a header field is read on our side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// It decides something, and has one value.
    Once,
    /// It decides something.
    Listed,
    /// Not here, or octet by octet as cookies are.
    Never,
}

impl Read {
    fn of(name: &HeaderName) -> Self {
        match name.as_str() {
            "host" | "authorization" | "content-type" | "content-length" | "origin" => Self::Once,
            "accept" | "forwarded" => Self::Listed,
            name if name.starts_with("sec-fetch-") => Self::Once,
            name if name.starts_with("x-forwarded-") || name.starts_with("x-original-") => Self::Listed,
            _ => Self::Never,
        }
    }
}

/// Drops every header field whose name has something other than letters, digits and `-` in it.
///
/// Behind CGI, WSGI and their like `_`, `.` and `-` are one character, and such a field could pass for one of ours (H-03,
/// H-05). No registered field has such a name.
pub fn drop_foldable_fields(headers: &mut HeaderMap) {
    let foldable = |name: &HeaderName| !name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if headers.keys().any(foldable) {
        let names: Vec<_> = headers.keys().filter(|name| foldable(name)).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
