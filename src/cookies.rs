//! Our own strict reading and writing of cookies.
//!
//! Cookie libraries decode, trim and fold names, and disagree on which of two equal names wins. A neighbour on a sibling
//! host uses that to plant a cookie that *becomes* ours (checklist B-01, B-02), or one odd byte to make the whole header
//! unreadable (B-04). So the rules here are few:
//!
//! * a `Cookie` field is cut at every `;`, and only spaces and tabs around a piece are dropped (RFC 6265 section 4.2.1);
//! * a name is what stands before the first `=`, compared octet by octet, never decoded;
//! * a value is raw octets, quotes included;
//! * a name that appears twice, in one field or in several, is [`Found::Repeated`]: no cookie, and worth clearing.
//!
//! What an app behind us may read is wider: [`strip_prefix`] also removes whatever a lenient parser could fold into a name
//! with our prefix.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderValue, header::COOKIE};

/// What the prefix of all our cookies is. Only a secure origin can set it, and only for itself (RFC 6265bis, `__Host-`).
pub const PREFIX: &[u8] = b"__Host-vb-";

/// The largest name and value together that browsers keep, in bytes (RFC 6265bis section 5.6).
pub const MAX_BYTES: usize = 4096;

/// The longest life that browsers grant, in seconds: 400 days (RFC 6265bis section 5.5).
const MAX_AGE_SECONDS: u64 = 400 * 24 * 60 * 60;

/// How often a name is among the cookies of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Not at all.
    None,
    /// Once, with this value.
    One(&'a [u8]),
    /// More than once. Somebody else set at least one of them; believe none, and clear the name.
    Repeated,
}

impl<'a> Found<'a> {
    /// The value, if there is exactly one.
    #[must_use]
    pub fn one(self) -> Option<&'a [u8]> {
        match self {
            Self::One(value) => Some(value),
            Self::None | Self::Repeated => None,
        }
    }
}

/// Looks for the cookie with exactly this name in all `Cookie` fields.
#[must_use]
pub fn find<'a>(headers: &'a HeaderMap, name: &[u8]) -> Found<'a> {
    let mut values = all(headers).filter_map(|(found, value)| (found == name).then_some(value));
    match (values.next(), values.next()) {
        (None, _) => Found::None,
        (Some(value), None) => Found::One(value),
        (Some(_), Some(_)) => Found::Repeated,
    }
}

/// All cookies whose name starts with exactly these octets, as `(name, value)`, in the order they were sent.
///
/// A name may come more than once; ask [`find`] before believing a value.
pub fn with_prefix<'a>(headers: &'a HeaderMap, prefix: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    all(headers).filter(move |(name, _)| name.starts_with(prefix))
}

/// Removes every cookie whose name starts with `prefix`, or that a lenient parser could read as such: other case,
/// percent-encoding (repeated too), white space or non-ASCII octets before or inside the name, `.`, `[`, `+` or space for
/// `_` (as PHP does), quotes, an empty name.
///
/// All other cookies keep their octets. A field that holds none of ours is not touched, one that holds nothing else is
/// removed; only a mixed one is copied.
pub fn strip_prefix(headers: &mut HeaderMap, prefix: &[u8]) {
    let ours = |field: &HeaderValue| pieces(field).any(|piece| folds_into(piece, prefix));
    let mut fields = headers.get_all(COOKIE).iter();
    // Browsers send one field; it is dealt with in place.
    let stripped = match (fields.next(), fields.next()) {
        (None, _) => return,
        (Some(only), None) => {
            if !ours(only) {
                return;
            }
            without(only, prefix)
        }
        (Some(_), Some(_)) => {
            let strip = |field: &HeaderValue| if ours(field) { without(field, prefix) } else { Some(field.clone()) };
            let kept: Vec<_> = headers.get_all(COOKIE).iter().filter_map(strip).collect();
            headers.remove(COOKIE);
            for field in kept {
                headers.append(COOKIE, field);
            }
            return;
        }
    };
    match stripped {
        Some(field) => headers.insert(COOKIE, field),
        None => headers.remove(COOKIE),
    };
}

/// A `Cookie` field without the pieces that fold into `prefix`; `None` when nothing is left.
fn without(field: &HeaderValue, prefix: &[u8]) -> Option<HeaderValue> {
    let mut rest: Vec<u8> = Vec::new();
    for piece in cut(field.as_bytes()).filter(|piece| !folds_into(piece, prefix)) {
        if rest.is_empty() {
            rest.reserve(field.len());
            rest.extend_from_slice(trim(piece));
        } else {
            rest.push(b';');
            rest.extend_from_slice(piece);
        }
    }
    let mut kept = HeaderValue::from_bytes(trim(&rest)).ok().filter(|kept| !kept.is_empty())?;
    kept.set_sensitive(field.is_sensitive());
    Some(kept)
}

/// Every cookie of a request, in the order sent.
fn all(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.get_all(COOKIE).iter().flat_map(pieces).filter_map(|piece| {
        let equals = piece.iter().position(|&byte| byte == b'=')?;
        Some((&piece[..equals], &piece[equals + 1..]))
    })
}

fn pieces(field: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    cut(field.as_bytes()).map(trim)
}

/// What is between the semicolons.
fn cut(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(field);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = memchr::memchr(b';', bytes);
        rest = end.map(|end| &bytes[end + 1..]);
        Some(&bytes[..end.unwrap_or(bytes.len())])
    })
}

/// Without the spaces and tabs at both ends, and nothing else: `u8::trim_ascii` takes form feeds too.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether some parser could take this piece of a `Cookie` field for a cookie whose name starts with `prefix`.
fn folds_into(piece: &[u8], prefix: &[u8]) -> bool {
    if piece.starts_with(prefix) {
        return true;
    }
    let decoded;
    let name = if memchr::memchr(b'%', piece).is_some() {
        decoded = decode_to_the_end(piece);
        &decoded
    } else {
        piece
    };
    let start =
        name.iter().position(|byte| byte.is_ascii_graphic() && !matches!(byte, b'=' | b'"' | b'\'' | b'+')).unwrap_or(name.len());
    let mut folded = name[start..].iter().filter_map(|byte| match byte {
        b' ' | b'.' | b'[' | b'+' => Some(b'_'),
        byte if byte.is_ascii_graphic() => Some(byte.to_ascii_lowercase()),
        _ => None,
    });
    prefix.iter().all(|expected| folded.next() == Some(expected.to_ascii_lowercase()))
}

/// Percent-decoded until nothing is left to decode, in one pass: an escape is complete when its last digit arrives.
fn decode_to_the_end(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        out.push(byte);
        while let [.., b'%', high, low] = out[..]
            && let (Some(high), Some(low)) = (char::from(high).to_digit(16), char::from(low).to_digit(16))
        {
            out.truncate(out.len() - 3);
            out.push(u8::try_from(high * 16 + low).unwrap_or_default());
        }
    }
    out
}

/// `SameSite` of a cookie (RFC 6265bis section 4.1.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Sent when a person follows a link here. What sessions and journeys need: both are entered from other sites.
    Lax,
    /// Sent from our own pages only.
    Strict,
}

/// The name of one of our cookies; always `Secure`, `HttpOnly`, `Path=/`, without `Domain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCookie {
    name: String,
    same_site: SameSite,
}

/// Why a cookie cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// The name does not start with `__Host-` or holds something other than token characters (RFC 9110 section 5.6.2).
    #[error("a cookie name is `__Host-` and token characters")]
    Name,
    /// The value holds something other than cookie octets (RFC 6265 section 4.1.1).
    #[error("a cookie value has only cookie octets")]
    Value,
    /// Name and value together are longer than [`MAX_BYTES`]; browsers would drop the cookie without a word.
    #[error("name and value have more than {MAX_BYTES} bytes")]
    Size,
}

impl HostCookie {
    /// A cookie of this name, `SameSite=Lax`.
    ///
    /// # Errors
    /// [`Unwritable::Name`].
    pub fn new(name: impl Into<String>) -> Result<Self, Unwritable> {
        let name = name.into();
        let rest = name.strip_prefix("__Host-").ok_or(Unwritable::Name)?;
        if rest.is_empty() || !rest.bytes().all(is_token) {
            return Err(Unwritable::Name);
        }
        Ok(Self { name, same_site: SameSite::Lax })
    }

    /// The same cookie with another `SameSite`.
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        Self { same_site, ..self }
    }

    /// The name, for [`find`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cookie's value in a request.
    #[must_use]
    pub fn find<'a>(&self, headers: &'a HeaderMap) -> Found<'a> {
        find(headers, self.name.as_bytes())
    }

    /// A `Set-Cookie` value. `max_age` is cut to whole seconds and to 400 days; `None` lasts until the browser closes.
    ///
    /// # Errors
    /// [`Unwritable::Value`] and [`Unwritable::Size`].
    pub fn set(&self, value: &str, max_age: Option<Duration>) -> Result<HeaderValue, Unwritable> {
        if !value.bytes().all(is_cookie_octet) {
            return Err(Unwritable::Value);
        }
        if self.name.len() + value.len() > MAX_BYTES {
            return Err(Unwritable::Size);
        }
        match max_age {
            Some(age) => self.header(&format_args!("={value}; Max-Age={}", age.as_secs().min(MAX_AGE_SECONDS))),
            None => self.header(&format_args!("={value}")),
        }
    }

    /// The `Set-Cookie` value that makes the browser forget the cookie.
    #[must_use]
    pub fn clear(&self) -> HeaderValue {
        // The name is made of token characters, so the header is always well-formed.
        self.header(&"=; Max-Age=0").unwrap_or(HeaderValue::from_static(""))
    }

    fn header(&self, value_and_age: &dyn fmt::Display) -> Result<HeaderValue, Unwritable> {
        let same_site = match self.same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
        };
        let text = format!("{}{value_and_age}; Path=/; Secure; HttpOnly; SameSite={same_site}", self.name);
        let mut header = HeaderValue::try_from(text).map_err(|_| Unwritable::Value)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers<T: AsRef<[u8]>>(fields: &[T]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, HeaderValue::from_bytes(field.as_ref()).expect("a header value"));
        }
        headers
    }

    fn stripped<T: AsRef<[u8]>>(fields: &[T]) -> Vec<Vec<u8>> {
        let mut headers = headers(fields);
        strip_prefix(&mut headers, PREFIX);
        headers.get_all(COOKIE).iter().map(|field| field.as_bytes().to_vec()).collect()
    }

    const NAME: &[u8] = b"__Host-vb-s-contoso";

    /// Names that some parser folds into ours.
    const LOOK_ALIKES: &[&[u8]] = &[
        b"%5F%5FHost-vb-s-contoso",
        b"%5f_Host-vb-s-contoso",
        b"%255F%255FHost-vb-s-contoso",
        b"%%35%46_Host-vb-s-contoso",
        b"__%48ost-vb-s-contoso",
        b"__host-vb-s-contoso",
        b"__HOST-VB-S-CONTOSO",
        b"\xe2\x80\x80__Host-vb-s-contoso",
        b"\xc2\x85__Host-vb-s-contoso",
        b"\xc2\xa0__Host-vb-s-contoso",
        b"\x85__Host-vb-s-contoso",
        b"\xa0__Host-vb-s-contoso",
        b"\xef\xbb\xbf__Host-vb-s-contoso",
        b"\xe3\x80\x80__Host-vb-s-contoso",
        b"%20__Host-vb-s-contoso",
        b"%00__Host-vb-s-contoso",
        b"..Host-vb-s-contoso",
        b"_[Host-vb-s-contoso",
        b"\"__Host-vb-s-contoso\"",
        b"=__Host-vb-s-contoso",
    ];

    #[test]
    fn b_01_a_name_is_exactly_its_octets() {
        for name in LOOK_ALIKES {
            let field = [name, &b"=evil"[..]].concat();
            assert_eq!(find(&headers(&[&field]), NAME), Found::None, "{}", name.escape_ascii());
            let beside = headers(&[&[b"__Host-vb-s-contoso=mine; ", &field[..]].concat()]);
            assert_eq!(find(&beside, NAME), Found::One(b"mine"), "{}", name.escape_ascii());
        }
        for field in ["__Host-vb-s-contoso =x", "__Host-vb-s-contoso\t=x", "__Host-vb-s-contos=x", "__Host-vb-s-contoso2=x"] {
            assert_eq!(find(&headers(&[field]), NAME), Found::None, "{field}");
        }
        assert_eq!(find(&headers(&["a=1;\t __Host-vb-s-contoso=x \t;b=2"]), NAME), Found::One(b"x"));
    }

    #[test]
    fn b_02_a_repeated_name_is_no_cookie() {
        assert_eq!(find(&headers(&["__Host-vb-s-contoso=a; __Host-vb-s-contoso=a"]), NAME), Found::Repeated);
        assert_eq!(find(&headers(&["__Host-vb-s-contoso=a", "x=y;__Host-vb-s-contoso="]), NAME), Found::Repeated);
        assert_eq!(Found::Repeated.one(), None);
    }

    #[test]
    fn b_04_an_odd_neighbour_does_not_hide_ours() {
        let mut field = b"bad=\xff\xfe; novalue; =; ;;__Host-vb-s-contoso=\"q\"=; x=\xc3\xa9".to_vec();
        assert_eq!(find(&headers(&[&field]), NAME), Found::One(b"\"q\"="));
        field.extend_from_slice(&b"; y".repeat(4000));
        assert_eq!(find(&headers(&[&field]), NAME), Found::One(b"\"q\"="));
    }

    #[test]
    fn b_01_an_app_behind_us_sees_nothing_that_folds_into_our_names() {
        for name in LOOK_ALIKES {
            let field = [b"a=1;b=\xff ; ", *name, b"=evil;  c=%41; d"].concat();
            assert_eq!(stripped(&[&field]), [b"a=1;b=\xff ;  c=%41; d"], "{}", name.escape_ascii());
        }
        assert_eq!(stripped(&["__Host-vb-s-a=1; b=2", "__Host-vb-j-1=x", "c=3"]), [b"b=2", b"c=3"]);
        assert_eq!(stripped(&["__Host-vb-s-a=1"]), [[0; 0]; 0]);
        assert_eq!(stripped(&["a=__Host-vb-s; __Host-other=1; _Host-vb-x=2"]), [b"a=__Host-vb-s; __Host-other=1; _Host-vb-x=2"]);
    }

    #[test]
    fn the_cookies_of_a_prefix_come_in_order() {
        let headers = headers(&["__Host-vb-j-2=b; a=1", "__Host-vb-j-1=c;__Host-vb-s=d"]);
        let journeys: Vec<_> = with_prefix(&headers, b"__Host-vb-j-").collect();
        assert_eq!(journeys, [(&b"__Host-vb-j-2"[..], &b"b"[..]), (b"__Host-vb-j-1", b"c")]);
    }

    #[test]
    fn s_58_what_is_set_is_host_bound() {
        let cookie = HostCookie::new("__Host-vb-s-contoso").expect("a name");
        let set = cookie.set("v", Some(Duration::from_secs(60))).expect("a value");
        assert_eq!(set, "__Host-vb-s-contoso=v; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert!(set.is_sensitive());
        assert_eq!(cookie.clear(), "__Host-vb-s-contoso=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax");
        let strict = cookie.same_site(SameSite::Strict).set("v", None).expect("a value");
        assert_eq!(strict, "__Host-vb-s-contoso=v; Path=/; Secure; HttpOnly; SameSite=Strict");
    }

    /// D-12: no life overflows.
    #[test]
    fn d_12_a_life_is_cut_to_400_days() {
        let set = HostCookie::new("__Host-a").expect("a name").set("v", Some(Duration::MAX)).expect("a value");
        assert!(set.to_str().expect("text").contains("Max-Age=34560000;"));
    }

    #[test]
    fn what_browsers_would_refuse_is_not_written() {
        for name in ["vb-s", "__Host-", "__Host-a b", "__Host-a=b", "__Host-a;b", "__host-a", "__Host-ä", "__Host-a\r\n"] {
            assert_eq!(HostCookie::new(name), Err(Unwritable::Name), "{name}");
        }
        let cookie = HostCookie::new("__Host-a").expect("a name");
        for value in ["a b", "a;b", "a,b", "\"a\"", "a\\", "ä", "a\r\nSet-Cookie: x=y", "\0"] {
            assert_eq!(cookie.set(value, None), Err(Unwritable::Value), "{value}");
        }
        assert_eq!(cookie.set(&"a".repeat(MAX_BYTES - 7), None), Err(Unwritable::Size));
        assert!(cookie.set(&"a".repeat(MAX_BYTES - 8), None).is_ok());
    }

    /// Octets that may stand in a header value, biased to those that matter here.
    fn octet() -> impl Strategy<Value = u8> {
        prop_oneof![
            4 => prop::sample::select(&b"; =\t%_-[.+\"25fFhHvb\xa0\xc2\xff"[..]),
            1 => any::<u8>().prop_filter("a header octet", |byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)),
        ]
    }

    fn field() -> impl Strategy<Value = Vec<u8>> {
        let ours = prop::sample::select(LOOK_ALIKES).prop_map(|name| [b"; ", name, &b"=v;"[..]].concat());
        let exact = Just(b" __Host-vb-s-contoso=v; ".to_vec());
        prop::collection::vec(prop_oneof![3 => prop::collection::vec(octet(), 0..12), 1 => ours, 1 => exact], 0..6)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn b_01_nothing_of_ours_is_left_and_nothing_else_changes(fields in prop::collection::vec(field(), 0..4)) {
            let before = headers(&fields);
            let mut after = before.clone();
            strip_prefix(&mut after, PREFIX);
            prop_assert_eq!(find(&after, NAME), Found::None);
            let theirs = |headers: &HeaderMap| -> Vec<Vec<u8>> {
                let fields = headers.get_all(COOKIE);
                let pieces = fields.iter().flat_map(pieces).filter(|piece| !folds_into(piece, PREFIX) && !piece.is_empty());
                pieces.map(<[u8]>::to_vec).collect()
            };
            prop_assert_eq!(theirs(&before), theirs(&after));
            prop_assert_eq!(after.get_all(COOKIE).iter().flat_map(pieces).filter(|piece| folds_into(piece, PREFIX)).count(), 0);
            // Twice is as good as once.
            let once = after.clone();
            strip_prefix(&mut after, PREFIX);
            prop_assert_eq!(once, after);
        }

        #[test]
        fn what_is_set_is_found(value in "[!#-+\\--:<-\\[\\]-~]{0,64}", around in field()) {
            let cookie = HostCookie::new("__Host-vb-x").expect("a name");
            let set = cookie.set(&value, None).expect("cookie octets");
            let pair = set.as_bytes().split(|&byte| byte == b';').next().expect("a pair").to_vec();
            let found = headers(&[around, pair]);
            prop_assert_eq!(cookie.find(&found), Found::One(value.as_bytes()));
        }

        #[test]
        fn decoding_ends_where_repeating_it_ends(bytes in prop::collection::vec(octet(), 0..40)) {
            let decoded = decode_to_the_end(&bytes);
            let left = decoded.windows(3).any(|w| w[0] == b'%' && w[1].is_ascii_hexdigit() && w[2].is_ascii_hexdigit());
            prop_assert!(!left);
        }
    }
}
