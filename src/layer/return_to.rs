//! Where a person goes back to: a place in the same app and nowhere else.

use http::Uri;
use serde::{Deserialize, Serialize};

/// A path and query of the app. Whoever is sent there stays at the app's origin, since it is only ever appended to that
/// origin, and has no octet that a browser would read as anything but path and query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct ReturnTo(String);

/// The longest address to come back to, in bytes: sealed, it has to fit into the `state` that servers and proxies carry.
pub(super) const MAX: usize = 2_800;

/// Why an address is none to come back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoReturn {
    #[error("the address is too long to come back to")]
    TooLong,
    #[error("the address does not lead back into the app")]
    Elsewhere,
}

impl ReturnTo {
    /// The app's start page.
    pub(super) fn start() -> Self {
        Self("/".to_owned())
    }

    /// The page that a request asks for.
    pub(super) fn of(uri: &Uri) -> Result<Self, NoReturn> {
        uri.path_and_query().map_or(Ok(Self::start()), |place| Self::try_from(place.as_str().to_owned()))
    }

    /// The absolute address at the app whose origin this is (`https://app.example`).
    pub(super) fn at(&self, origin: &str) -> String {
        format!("{origin}{}", self.0)
    }
}

impl TryFrom<String> for ReturnTo {
    type Error = NoReturn;

    fn try_from(text: String) -> Result<Self, NoReturn> {
        // A second slash, or what browsers take for one, would start a host name wherever the text is used alone.
        let rooted = text.starts_with('/') && !text.starts_with("//") && !text.starts_with("/\\");
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'#'));
        match (rooted && plain, text.len() <= MAX) {
            (true, true) => Ok(Self(text)),
            (true, false) => Err(NoReturn::TooLong),
            (false, _) => Err(NoReturn::Elsewhere),
        }
    }
}

impl From<ReturnTo> for String {
    fn from(place: ReturnTo) -> Self {
        place.0
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    /// whatever is asked for, the way back stays in the app.
    #[test]
    fn r_02_no_return_address_leads_elsewhere() {
        let origin = "https://app.example";
        let corpus = [
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "/\\/evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "https:evil.example",
            "https:///evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "@evil.example",
            ".evil.example",
            ":443@evil.example",
            "evil.example",
            "/\tevil.example",
            "/\t/evil.example",
            "\t//evil.example",
            " //evil.example",
            "/\r\nLocation: https://evil.example",
            "/\u{0}x",
            "/ä",
            "/a#b",
            "?x",
            "",
        ];
        for text in corpus {
            assert_eq!(ReturnTo::try_from(text.to_owned()), Err(NoReturn::Elsewhere), "{text}");
        }
        for text in
            ["/", "/a?b=//evil.example", "/a//b", "/..//evil.example", "/@evil.example", "/%2f%2fevil.example", "/?", "/%5cx"]
        {
            let place = ReturnTo::try_from(text.to_owned()).unwrap().at(origin);
            assert_eq!(Url::parse(&place).unwrap().origin().ascii_serialization(), origin, "{text}");
        }
        assert_eq!(ReturnTo::try_from(format!("/{}", "a".repeat(MAX))), Err(NoReturn::TooLong));
    }

    #[test]
    fn the_very_url_of_a_request_is_kept() {
        let place = |uri: &str| ReturnTo::of(&uri.parse().unwrap()).map(String::from);
        assert_eq!(place("/a/b?c=d%20e&f"), Ok("/a/b?c=d%20e&f".into()));
        assert_eq!(place("https://other.example/a?b"), Ok("/a?b".into()), "only path and query of the absolute form");
        assert_eq!(place("//evil.example/x"), Err(NoReturn::Elsewhere));
        assert_eq!(ReturnTo::of(&Uri::from_static("*")), Err(NoReturn::Elsewhere));
    }
}
