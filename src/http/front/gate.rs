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
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn parts(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Parts {
        let request = build(Request::builder().uri("/").header("host", "contoso.example"));
        request.body(()).expect("a request").into_parts().0
    }

    fn code(parts: &Parts) -> Option<(u16, &'static str)> {
        judge(parts, &Limits::default()).err().map(|refusal| (refusal.code().status().as_u16(), refusal.reason()))
    }

    #[test]
    fn p_01_every_path_of_the_corpus_is_judged_as_it_says() {
        let corpus = include_str!("../../../fixtures/paths.txt");
        let mut count = 0;
        for line in corpus.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (answer, path) = line.split_once('\t').expect("an answer and a path");
            let path = unescape(path);
            let judged = judge_path(&path);
            assert_eq!(judged.is_ok(), answer == "accept", "{} {judged:?}", path.escape_ascii());
            count += 1;
        }
        assert!(count > 200, "{count} paths");
    }

    fn unescape(line: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = line.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = match rest {
                [b'\\', b'x', high, low, tail @ ..] => {
                    out.push(hex(*high).expect("hex") * 16 + hex(*low).expect("hex"));
                    tail
                }
                _ => {
                    out.push(*first);
                    tail
                }
            };
        }
        out
    }

    #[test]
    fn p_04_hosts_are_compared_without_case() {
        let same = parts(|request| request.uri("https://CONTOSO.example/"));
        assert_eq!(code(&same), None);
        let other = parts(|request| request.uri("https://contoso.example.evil.example/"));
        assert_eq!(code(&other), Some((400, "the target's authority and Host differ")));
        let port = parts(|request| request.uri("https://contoso.example:443/"));
        assert_eq!(code(&port), Some((400, "the target's authority and Host differ")));
    }

    #[test]
    fn p_05_only_the_listed_methods_pass_as_written() {
        for method in ALLOWED_METHODS.split(", ") {
            assert_eq!(code(&parts(|request| request.method(method))), None, "{method}");
        }
        for method in ["get", "Get", "FOO", "TRACE", "CONNECT", "PROPFIND", "QUERY"] {
            assert_eq!(code(&parts(|request| request.method(method))).map(|code| code.0), Some(405), "{method}");
        }
    }

    #[test]
    fn p_08_a_host_is_a_name_with_an_optional_port() {
        for host in ["a", "a.example", "A.example.", "a.example:8443", "127.0.0.1:80", "[::1]", "[::1]:8080", "my_app:3000"] {
            assert!(judge_authority(host.as_bytes()), "{host}");
        }
        let long = "a".repeat(64);
        for host in [
            "",
            ".",
            "a..b",
            ".a",
            "a b",
            "good@evil.example",
            "a:",
            "a:0",
            "a:080",
            "a:65536",
            "a:+1",
            "a:1:2",
            "a/b",
            "a?b",
            "a%2eb",
            "ä.example",
            "[::1",
            "[::1]x",
            "[zz]",
            "::1",
            "a,b",
            "a;b",
            "a\\b",
            &long,
        ] {
            assert!(!judge_authority(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn what_we_read_is_ascii_and_single() {
        let latin = http::HeaderValue::from_bytes(b"caf\xe9").expect("a value");
        for name in ["authorization", "content-type", "origin", "sec-fetch-mode", "accept", "x-forwarded-host"] {
            assert_eq!(code(&parts(|request| request.header(name, &latin))).map(|code| code.0), Some(400), "{name}");
        }
        for name in ["cookie", "user-agent", "x-other"] {
            assert_eq!(code(&parts(|request| request.header(name, &latin))), None, "{name}");
        }
        for name in ["authorization", "content-type", "origin", "sec-fetch-site"] {
            let twice = parts(|request| request.header(name, "a").header(name, "a"));
            assert_eq!(code(&twice).map(|code| code.0), Some(400), "{name}");
        }
    }

    #[test]
    fn d_03_compressed_bodies_are_refused() {
        assert_eq!(code(&parts(|request| request.header("content-encoding", "gzip"))).map(|code| code.0), Some(415));
        assert_eq!(code(&parts(|request| request.header("content-encoding", "identity"))).map(|code| code.0), Some(415));
    }

    #[test]
    fn d_11_large_heads_are_refused_with_their_own_status() {
        let long = "a".repeat(8 * 1024);
        assert_eq!(code(&parts(|request| request.uri(format!("/{long}")))).map(|code| code.0), Some(414));
        let wide = parts(|request| request.header("x-a", &long).header("x-b", &long));
        assert_eq!(code(&wide).map(|code| code.0), Some(431));
        let many = parts(|request| (0..64).fold(request, |request, n| request.header(format!("x-{n}"), "1")));
        assert_eq!(code(&many).map(|code| code.0), Some(431));
        let crumbs = parts(|request| (0..100).fold(request, |request, n| request.header("cookie", format!("c{n}=1"))));
        assert_eq!(code(&crumbs), None);
    }

    #[test]
    fn h_03_fields_that_fold_into_others_are_dropped() {
        let mut headers = parts(|request| {
            request
                .header("X_Guest_Email", "evil")
                .header("x-guest_email", "evil")
                .header("X-Guest.Email", "evil")
                .header("x-ok", "1")
        })
        .headers;
        drop_foldable_fields(&mut headers);
        let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["host", "x-ok"]);
    }

    /// Once more with the eyes of a lenient reader: decode, treat `\` as `/`, cut `;...`, and look for what is ambiguous.
    fn a_lenient_reader_is_misled(path: &str) -> bool {
        let mut text = path.to_owned();
        for _ in 0..3 {
            text = String::from_utf8_lossy(&percent_decoded(text.as_bytes())).into_owned();
        }
        let text = text.replace('\\', "/");
        text != path && !path.contains('%')
            || text.contains("//")
            || text.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
            || text.matches('/').count() != path.matches('/').count()
            || text.chars().any(char::is_control)
    }

    proptest! {
        #[test]
        fn p_01_what_passes_means_one_thing(path in "(/|\\.|%2e|%2F|%25|%5c|%0|2e|;|\\\\|a|%c3%a9|%|\u{e9}){0,12}") {
            let path = format!("/{path}");
            if judge_path(path.as_bytes()).is_ok() {
                prop_assert!(!a_lenient_reader_is_misled(&path));
            }
        }

        #[test]
        fn judging_never_panics(path in prop::collection::vec(any::<u8>(), 0..64), host in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = judge_path(&path);
            let _ = judge_authority(&host);
        }
    }
}
