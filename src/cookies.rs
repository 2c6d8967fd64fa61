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

use http::{HeaderMap, HeaderValue, header::COOKIE};

mod set;
mod strip;
#[cfg(test)]
mod tests;

pub use set::{HostCookie, MAX_BYTES, SameSite, Unwritable};
pub use strip::strip_prefix;

/// What the prefix of all our cookies is. Only a secure origin can set it, and only for itself (RFC 6265bis, `__Host-`).
pub const PREFIX: &[u8] = b"__Host-vb-";

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
