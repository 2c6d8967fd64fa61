//! What every page shows around its own matter: whose page it is, which account is in use, in which language.

use std::fmt;

use url::Url;

use crate::{
    domain::{
        Domain, EmailAddress, WebUrl,
        tenant::{Color, Tenant},
    },
    http::assets,
    i18n::{Language, Phrase},
};

/// What every page shows around its own matter.
#[derive(Clone, Debug, Default)]
pub struct Chrome {
    /// The language of the page.
    pub language: Language,
    /// The organisation whose page it is; `None` where the link does not say.
    pub tenant: Option<TenantFace>,
    /// The account in use, if any.
    pub account: Option<AccountInUse>,
    /// The token of the flow, in every form as `csrf`. May be empty on pages without a form.
    pub csrf: String,
    /// What the log calls this request; shown for people to quote.
    pub trace_id: Option<String>,
    /// Whether the page is served over TLS, and may say so to browsers (RFC 6797 section 7.2).
    pub https: bool,
}

impl Chrome {
    /// The sentence with this key in the language of the page.
    pub fn t<'a>(&self, key: &'a str) -> Phrase<'a> {
        self.language.phrase(key)
    }

    /// The organisation's name, or words for one that is not known.
    #[must_use]
    pub fn tenant_name(&self) -> String {
        match &self.tenant {
            Some(tenant) => tenant.name.clone(),
            None => self.t("some-organisation").plain(),
        }
    }

    /// The organisation's name, with the domain that people know it by.
    pub(super) fn tenant_in_full(&self) -> String {
        match self.tenant.as_ref().and_then(|tenant| tenant.domain.as_ref()) {
            Some(domain) => format!("{} ({domain})", self.tenant_name()),
            None => self.tenant_name(),
        }
    }

    pub(super) fn style(&self) -> &'static str {
        assets::STYLE.path()
    }

    pub(super) fn script(&self) -> &'static str {
        assets::SCRIPT.path()
    }

    pub(super) fn icon(&self) -> &'static str {
        assets::ICON.path()
    }

    pub(super) fn passkey_script(&self) -> &'static str {
        assets::PASSKEY.path()
    }

    pub(super) fn accent_style(&self) -> Option<String> {
        self.tenant.as_ref()?.accent.map(assets::accent_path)
    }
}

/// How an organisation shows itself: a name, a domain, a colour and a picture, never markup (checklist B-08).
#[derive(Clone, Debug)]
pub struct TenantFace {
    /// Its name.
    pub name: String,
    /// The domain that people know it by.
    pub domain: Option<String>,
    /// Its logo, on our own origin.
    pub logo: Option<Link>,
    /// The colour of its buttons.
    pub accent: Option<Color>,
    /// Its privacy statement, linked at the foot of every page.
    pub privacy_statement: Option<Link>,
}

impl TenantFace {
    /// The face of `tenant`; `logo` is where its logo is served on our own origin.
    #[must_use]
    pub fn of(tenant: &Tenant, logo: Option<Link>) -> Self {
        Self {
            name: tenant.display_name.clone(),
            domain: tenant.shown_domain().map(Domain::to_string),
            logo,
            accent: tenant.branding.accent,
            privacy_statement: tenant.privacy.statement_url.as_ref().map(Link::from),
        }
    }

    /// One or two letters that stand for an organisation without a logo.
    pub(super) fn monogram(&self) -> String {
        monogram(&self.name)
    }
}

/// The first letters of the first two words.
fn monogram(name: &str) -> String {
    let initial = |word: &str| word.chars().find(|c| c.is_alphanumeric());
    name.split_whitespace().filter_map(initial).take(2).flat_map(char::to_uppercase).collect()
}

/// The account in use, as the page shows it.
#[derive(Clone, Debug)]
pub struct AccountInUse {
    /// Its address, or its name where it has no address.
    pub label: String,
    /// Whether it is proven; else it is what the person typed.
    pub proven: bool,
    /// Where the button `switch-account` posts to; without it there is no button.
    pub switch: Option<Link>,
}

impl AccountInUse {
    pub(super) fn monogram(&self) -> String {
        monogram(&self.label)
    }
}

/// Where a link or a form leads: a path on our own host, or an `http(s)` URL without user information.
///
/// Nothing else can be written into a page, whatever was stored (checklist R-04): it becomes `#`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(String);

impl Link {
    fn is_safe(text: &str) -> bool {
        // Browsers drop tabs and line feeds and read `\` as `/`.
        if text.bytes().any(|b| b <= b' ' || b == b'\\' || b == 0x7f) {
            return false;
        }
        if let Some(rest) = text.strip_prefix('/') {
            return !rest.starts_with('/');
        }
        let web = |url: &Url| matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
        Url::parse(text).is_ok_and(|url| web(&url) && url.has_host())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host and port, for people; empty on our own host.
    #[must_use]
    pub fn host(&self) -> String {
        let Ok(url) = Url::parse(&self.0) else { return String::new() };
        let host = url.host_str().unwrap_or_default();
        url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The origin, as a content security policy names it; `None` on our own host.
    pub(super) fn origin(&self) -> Option<String> {
        Url::parse(&self.0).ok().map(|url| url.origin().ascii_serialization())
    }
}

impl From<String> for Link {
    fn from(text: String) -> Self {
        if Self::is_safe(&text) { Self(text) } else { Self("#".to_owned()) }
    }
}

impl From<&str> for Link {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<&WebUrl> for Link {
    fn from(url: &WebUrl) -> Self {
        url.as_str().into()
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A hidden input that a form carries along.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Whom a guest may ask: an address, or words such as `the Contoso service desk, +44 20 7946 0000`.
#[derive(Clone, Debug)]
pub struct Contact(pub String);

impl Contact {
    /// Where mail to this contact goes, when it is an address.
    pub(super) fn mailto(&self) -> Option<String> {
        self.0.parse::<EmailAddress>().ok().map(|address| format!("mailto:{address}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_04_only_paths_and_web_addresses_are_written_into_a_page() {
        for good in ["/", "/a?b=c#d", "https://app.example/cb?code=x&state=y", "http://127.0.0.1:8080/cb", "http://a.localhost"] {
            assert_eq!(Link::from(good).as_str(), good);
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            " javascript:alert(1)",
            "java\tscript:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "\\\\evil.example",
            "https://a@evil.example/",
            "https:",
            "ftp://x/",
            "vbscript:x",
            "blob:https://x/1",
            "relative",
            "mailto:x@y.example",
        ] {
            assert_eq!(Link::from(bad).as_str(), "#", "{bad:?}");
        }
    }

    #[test]
    fn a_link_says_where_it_leads() {
        assert_eq!(Link::from("https://login.fabrikam.example:8443/a?b").host(), "login.fabrikam.example:8443");
        assert_eq!(Link::from("https://app.example/cb").origin().as_deref(), Some("https://app.example"));
        assert_eq!(Link::from("/here").origin(), None);
    }

    #[test]
    fn a_monogram_is_made_of_initials() {
        assert_eq!(monogram("Contoso"), "C");
        assert_eq!(monogram("  (new) élan  vital Ltd"), "NÉ");
        assert_eq!(monogram("—"), "");
    }
}
