//! A cookie jar that follows a browser's rules (RFC 6265bis) as far as they matter here.

use reqwest::header::{HeaderMap, SET_COOKIE};
use url::Url;

/// One `Set-Cookie` header, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    attributes: Vec<(String, String)>,
}

impl SetCookie {
    /// Everything that `headers` sets.
    pub(crate) fn all(headers: &HeaderMap) -> Vec<Self> {
        headers.get_all(SET_COOKIE).iter().map(|value| Self::parse(value.to_str().expect("an ASCII cookie"))).collect()
    }

    fn parse(header: &str) -> Self {
        let mut parts = header.split(';').map(str::trim);
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).expect("name=value");
        let attribute = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Self { name: name.to_owned(), value: value.to_owned(), attributes: parts.map(attribute).collect() }
    }

    /// The value of an attribute (lower-case name), empty for a flag.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether it takes the cookie away.
    pub(crate) fn deletes(&self) -> bool {
        self.attribute("max-age").is_some_and(|age| age.parse::<i64>().is_ok_and(|age| age <= 0))
            || self.attribute("expires").is_some_and(|date| date.contains("1970"))
    }
}

/// A cookie that is kept. Ports and paths do not separate cookies; host names do.
#[derive(Clone, Debug)]
pub(crate) struct Cookie {
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) value: String,
    secure: bool,
}

/// The cookies of one browser profile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar(Vec<Cookie>);

impl Jar {
    /// Takes what an answer from `url` sets.
    pub(crate) fn store(&mut self, url: &Url, headers: &HeaderMap) {
        let host = url.host_str().unwrap_or_default();
        for set in SetCookie::all(headers) {
            self.0.retain(|cookie| cookie.host != host || cookie.name != set.name);
            if !set.deletes() {
                let secure = set.attribute("secure").is_some();
                self.0.push(Cookie { host: host.to_owned(), name: set.name, value: set.value, secure });
            }
        }
    }

    /// The `Cookie` header for a request to `url`.
    pub(crate) fn header(&self, url: &Url) -> Option<String> {
        let cookies: Vec<_> = self.sent_to(url).map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!cookies.is_empty()).then(|| cookies.join("; "))
    }

    /// The cookies that go to `url`. Browsers treat loopback as secure without TLS.
    pub(crate) fn sent_to(&self, url: &Url) -> impl Iterator<Item = &Cookie> {
        let host = url.host_str().unwrap_or_default();
        let secure = url.scheme() == "https" || is_loopback(host);
        self.0.iter().filter(move |cookie| cookie.host == host && (secure || !cookie.secure))
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Cookie> {
        self.0.iter()
    }

    /// Clears what `host` has set.
    pub(crate) fn forget(&mut self, host: &str) {
        self.0.retain(|cookie| cookie.host != host);
    }

    /// Puts one in, as a thief or a sibling would.
    pub(crate) fn plant(&mut self, host: &str, name: &str, value: &str) {
        self.0.push(Cookie { host: host.to_owned(), name: name.to_owned(), value: value.to_owned(), secure: true });
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "[::1]"
}
