//! Names that people type: domains, e-mail addresses, languages, web addresses. Parsed once, compared exactly ever after.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::Url;

macro_rules! text_type {
    ($name:ident, $error:ty) => {
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

/// A domain name as IDNA A-labels in lower case, without a trailing dot (RFC 5890, UTS #46).
///
/// At least two labels, since a verified domain is one that can be looked up and mailed to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

/// Why a text is no domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a domain name")]
pub struct DomainError;

text_type!(Domain, DomainError);

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_suffix('.').unwrap_or(text);
        // Full-width dots and letters, soft hyphens and the like would otherwise be mapped away in silence: a name that
        // UTS #46 changes beyond its case is a look-alike and is refused.
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| DomainError)?;
        let (unicode, valid) = idna::domain_to_unicode(&ascii);
        let typed_exactly = ascii.eq_ignore_ascii_case(text) || text.chars().flat_map(char::to_lowercase).eq(unicode.chars());
        let labels = ascii.split('.');
        let numeric_end = ascii.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if valid.is_err() || !typed_exactly || ascii.len() > 253 || labels.clone().count() < 2 || numeric_end {
            return Err(DomainError);
        }
        Ok(Self(ascii))
    }
}

/// An e-mail address in its one accepted form: one `@`, a dot-atom local part of plain ASCII, a [`Domain`]; all lower case.
///
/// Quoted local parts, comments, routes, `%`-hacks and non-ASCII local parts are refused (checklist L-10, L-11). Equality
/// is exact: dots and `+` tags are never folded away, so `a+x@` and `a@` are two people (L-12).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

/// Why a text is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not an e-mail address that can be used here")]
pub struct EmailError;

text_type!(EmailAddress, EmailError);

impl FromStr for EmailAddress {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (local, domain) = text.split_once('@').ok_or(EmailError)?;
        // RFC 5322 atext less `%` and `!`, which old mail systems read as routes.
        let atext = |b: u8| b.is_ascii_alphanumeric() || b"#$&'*+-/=?^_`{|}~".contains(&b);
        let dot_atom = local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(atext));
        if !dot_atom || local.len() > 64 || text.len() > 254 {
            return Err(EmailError);
        }
        let domain: Domain = domain.strip_suffix('.').map_or(Ok(domain), |_| Err(EmailError))?.parse().map_err(|_| EmailError)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() > 254 { Err(EmailError) } else { Ok(Self(address)) }
    }
}

impl EmailAddress {
    /// The part after the `@`.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain(self.0.split_once('@').map(|(_, domain)| domain.to_owned()).unwrap_or_default())
    }

    /// The address with its local part hidden but for the first letter, for logs and for pages that must not give it away.
    #[must_use]
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.split_once('@').unwrap_or(("", ""));
        format!("{}***@{domain}", &local[..local.len().min(1)])
    }
}

/// An e-mail address whose mailbox or domain the person in front of us has been shown to hold.
///
/// Made only where the proof is: [`VerifiedEmail::proven_by_passcode`] and [`VerifiedEmail::vouched_for`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VerifiedEmail(EmailAddress);

impl VerifiedEmail {
    /// A one-time passcode that was mailed to the address came back from this browser.
    #[must_use]
    pub fn proven_by_passcode(address: EmailAddress) -> Self {
        Self(address)
    }

    /// The upstream says `email_verified`, and the tenant trusts it for the address's domain; `None` otherwise (nOAuth).
    #[must_use]
    pub fn vouched_for(address: EmailAddress, upstream_says_verified: bool, trusted_domains: &[Domain]) -> Option<Self> {
        (upstream_says_verified && trusted_domains.contains(&address.domain())).then_some(Self(address))
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> &EmailAddress {
        &self.0
    }
}

/// A BCP 47 language tag in canonical case, such as `en` or `pt-BR`. At most 35 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LanguageTag(String);

text_type!(LanguageTag, &'static str);

impl FromStr for LanguageTag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let subtags: Vec<_> = text.split('-').collect();
        let well_formed = subtags.iter().all(|s| (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric()));
        let primary = subtags[0];
        if !well_formed
            || text.len() > 35
            || !(2..=3).contains(&primary.len())
            || !primary.bytes().all(|b| b.is_ascii_alphabetic())
        {
            return Err("a language is a BCP 47 tag such as en or pt-BR");
        }
        let canonical = subtags.iter().enumerate().map(|(index, subtag)| match (index, subtag.len()) {
            (0, _) => subtag.to_ascii_lowercase(),
            (_, 2) => subtag.to_ascii_uppercase(),
            (_, 4) if subtag.as_bytes()[0].is_ascii_alphabetic() => {
                format!("{}{}", subtag[..1].to_ascii_uppercase(), subtag[1..].to_ascii_lowercase())
            }
            _ => subtag.to_ascii_lowercase(),
        });
        Ok(Self(canonical.collect::<Vec<_>>().join("-")))
    }
}

impl LanguageTag {
    /// The language without script and region.
    #[must_use]
    pub fn primary(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }
}

/// An absolute `https` URL (or `http` on a loopback host), without user information; what may be stored as a link (R-04).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebUrl(Url);

impl WebUrl {
    /// The parsed URL.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Host and port, for people; the port where it is not the scheme's own.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Scheme, host and port, as browsers compare origins.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

/// Whether `url` points at this machine: `localhost`, `*.localhost` (RFC 6761) or a loopback address.
#[must_use]
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl FromStr for WebUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = "a link is an absolute https URL (http only on this machine), without user name, at most 2,048 characters";
        if text.len() > 2048 || text.bytes().any(|b| b <= b' ' || b == b'\\' || b == 0x7f) {
            return Err(refused);
        }
        let url = Url::parse(text).map_err(|_| refused)?;
        let scheme = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        let bare = url.username().is_empty() && url.password().is_none();
        if scheme && bare && url.has_host() { Ok(Self(url)) } else { Err(refused) }
    }
}

impl TryFrom<String> for WebUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<WebUrl> for String {
    fn from(url: WebUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_one_spelling() {
        for same in ["Contoso.Example", "contoso.example.", "CONTOSO.EXAMPLE"] {
            assert_eq!(same.parse::<Domain>().unwrap().as_str(), "contoso.example", "{same}");
        }
        assert_eq!("Bücher.example".parse::<Domain>().unwrap().as_str(), "xn--bcher-kva.example");
        for bad in [
            "",
            ".",
            "localhost",
            "a..b",
            "a b.example",
            "ｅｘａｍｐｌｅ.com",
            "exa\u{ad}mple.com",
            "example。com",
            "1.2.3.4",
            "-a.example",
            "xn--a.example",
            "a.example..",
            "a_b.example",
        ] {
            assert!(bad.parse::<Domain>().is_err(), "{bad}");
        }
    }

    /// T-11: spellings of a domain are one key, or are refused. The corpus is a fixture, one spelling a line after its key.
    #[test]
    fn t_11_spellings_of_a_domain_are_one_key_or_refused() {
        let corpus = include_str!("../../fixtures/domain-names.txt");
        for line in corpus.lines().filter(|line| !line.starts_with("# ") && !line.is_empty()) {
            let (key, spelling) = line.split_once('\t').expect("key, tab, spelling");
            let mut parts = spelling.split("\\u{");
            let mut text = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let (number, rest) = part.split_once('}').expect("a number in braces");
                text.extend(u32::from_str_radix(number, 16).ok().and_then(char::from_u32));
                text.push_str(rest);
            }
            let parsed = text.parse::<Domain>().ok();
            assert_eq!(parsed.as_ref().map_or("refuse", Domain::as_str), key, "{line}");
            // A key is its own spelling, so that nothing is ever stored under two.
            assert_eq!(parsed.as_ref().map(|key| key.as_str().parse::<Domain>().ok()), parsed.clone().map(Some));
        }
    }

    /// L-10: no Unicode case folding ever turns one mailbox into another.
    #[test]
    fn l_10_unicode_look_alikes_are_refused() {
        for bad in [
            "m\u{131}ke@contoso.example",
            "\u{212A}ate@contoso.example",
            "\u{FB01}n@contoso.example",
            "\u{130}@contoso.example",
            "a@\u{FF43}ontoso.example",
        ] {
            assert!(bad.parse::<EmailAddress>().is_err(), "{bad}");
        }
        assert_eq!("Mike@Contoso.Example".parse::<EmailAddress>().unwrap().as_str(), "mike@contoso.example");
    }

    /// L-11: only plain addresses pass. The corpus is a fixture, one address a line, marked with the answer.
    #[test]
    fn l_11_address_corpus() {
        let corpus = include_str!("../../fixtures/email-addresses.txt");
        for line in corpus.lines().filter(|line| !line.starts_with("# ") && !line.is_empty()) {
            let (answer, address) = line.split_once('\t').expect("answer, tab, address");
            let address = address.replace("\\t", "\t").replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0");
            assert_eq!(address.parse::<EmailAddress>().is_ok(), answer == "accept", "{line}");
        }
    }

    /// L-12: nothing is folded.
    #[test]
    fn l_12_plus_tags_and_dots_are_part_of_the_name() {
        let parse = |text: &str| text.parse::<EmailAddress>().unwrap();
        assert_ne!(parse("a+x@contoso.example"), parse("a@contoso.example"));
        assert_ne!(parse("a.b@contoso.example"), parse("ab@contoso.example"));
    }

    /// R-04: nothing but https (or http on this machine) is ever stored as a link.
    #[test]
    fn r_04_links_are_web_links() {
        for good in ["https://contoso.example/a?b#c", "http://localhost:1/", "http://127.0.0.1:9/", "http://a.localhost/"] {
            assert!(good.parse::<WebUrl>().is_ok(), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "http://contoso.example/",
            "https://u:p@contoso.example/",
            "data:text/html,x",
            "//x",
            "https://",
            "https://a\\@b.example/",
            " https://contoso.example/",
        ] {
            assert!(bad.parse::<WebUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn languages_are_canonical() {
        assert_eq!("PT-br".parse::<LanguageTag>().unwrap().as_str(), "pt-BR");
        assert_eq!("zh-hant-tw".parse::<LanguageTag>().unwrap().as_str(), "zh-Hant-TW");
        for bad in ["", "e", "e1", "en-", "en_US", "toolonglang"] {
            assert!(bad.parse::<LanguageTag>().is_err(), "{bad}");
        }
    }
}
