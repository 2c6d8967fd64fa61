//! Writing cookies: always bound to their host.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderValue};

use super::{Found, find};

/// The largest name and value together that browsers keep, in bytes (RFC 6265bis section 5.6).
pub const MAX_BYTES: usize = 4096;

/// The longest life that browsers grant, in seconds: 400 days (RFC 6265bis section 5.5).
const MAX_AGE_SECONDS: u64 = 400 * 24 * 60 * 60;

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
    use super::*;

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
}
