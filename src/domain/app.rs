//! An app of a tenant: an OpenID client, and a tile on the apps panel.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{AppId, WebUrl, names::is_loopback, permission::Permissions};
use crate::secret::SecretHash;

/// An app.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its id; also its OAuth `client_id`.
    pub id: AppId,
    /// Its name as people see it; also the readable part of direct sign-on links, where it is not looked at.
    pub display_name: String,
    /// One line for the panel. At most 1,024 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// Where the panel and the direct links start it.
    #[serde(default)]
    pub homepage: Option<WebUrl>,
    /// Where codes may be sent.
    #[serde(default)]
    pub redirect_uris: Vec<RedirectUri>,
    /// Where a browser may go after signing out.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// What proves that a request comes from it.
    pub client: ClientType,
    /// Whether authorization requests need PKCE.
    #[serde(default)]
    pub pkce: PkcePolicy,
    /// Whether it has a tile on the panel.
    #[serde(default = "yes")]
    pub visible: bool,
    /// Whether only assigned users may open it.
    #[serde(default)]
    pub assignment_required: bool,
    /// Whether anybody may sign in to it at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Directory permissions that it gets with client credentials, such as `User.Invite.All`.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// Directory permissions that it may ask for in the name of somebody who signs in to it, such as `User.Read`.
    #[serde(default)]
    pub delegated_permissions: Vec<String>,
    /// How its ID tokens are signed.
    #[serde(default = "rs256")]
    pub id_token_alg: SigningAlg,
    /// How its access tokens are signed.
    #[serde(default = "es256")]
    pub access_token_alg: SigningAlg,
}

fn yes() -> bool {
    true
}

fn rs256() -> SigningAlg {
    SigningAlg::RS256
}

fn es256() -> SigningAlg {
    SigningAlg::ES256
}

/// A signature algorithm that tenants have keys for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SigningAlg {
    /// RSASSA-PKCS1-v1_5 with SHA-256, which OpenID Connect demands of every provider.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
}

/// What proves that a request comes from an app.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ClientType {
    /// It runs where no secret can be kept. PKCE always.
    Public,
    /// It has secrets, several while one is replaced.
    Confidential {
        /// The hashes of its secrets.
        secrets: Vec<SecretHash>,
    },
}

/// Whether authorization requests need PKCE (checklist S-11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PkcePolicy {
    /// Always, with S256.
    #[default]
    Required,
    /// A confidential client that was explicitly exempted, since it cannot. Public clients never are.
    Exempt,
}

/// A registered redirect URI: compared as bytes, before anything is parsed (checklist S-23, R-01).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

impl RedirectUri {
    /// The exact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a request's `redirect_uri` is this one. For an `http` loopback *address* (not `localhost`) of a public
    /// client the port may differ (RFC 8252 section 7.3); everything else is exact.
    #[must_use]
    pub fn matches(&self, requested: &str, public_client: bool) -> bool {
        if self.0 == requested {
            return true;
        }
        let without_port = |uri: &str| {
            ["http://127.0.0.1", "http://[::1]"].into_iter().find_map(|host| {
                let rest = uri.strip_prefix(host)?;
                let (port, path) = rest.split_at_checked(rest.find('/')?)?;
                let digits = port.strip_prefix(':')?;
                let valid = !digits.is_empty()
                    && !digits.starts_with('0')
                    && digits.parse::<u16>().is_ok()
                    && digits.bytes().all(|b| b.is_ascii_digit());
                valid.then(|| (host, path.to_owned()))
            })
        };
        public_client && without_port(&self.0).is_some_and(|registered| without_port(requested) == Some(registered))
    }
}

impl std::str::FromStr for RedirectUri {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = "a redirect URI is an absolute https URL (http only on this machine), without fragment, user name, `..` or wildcard, at most 2,048 characters";
        let plain = text.len() <= 2048 && text.bytes().all(|b| b.is_ascii_graphic() && !b"\\*#<>\"`^{|}".contains(&b));
        let url = Url::parse(text).map_err(|_| refused)?;
        let scheme = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        let bare = url.username().is_empty() && url.password().is_none() && !text.contains('@');
        // A text that parsing changes (`..`, upper case, default ports) would be compared as one thing and visited as another.
        let canonical = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
        if plain && scheme && bare && canonical { Ok(Self(text.to_owned())) } else { Err(refused) }
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.0
    }
}

impl App {
    /// The registered redirect URI that a request names, if it names one.
    #[must_use]
    pub fn redirect_uri(&self, requested: &str) -> Option<&RedirectUri> {
        let public = matches!(self.client, ClientType::Public);
        self.redirect_uris.iter().find(|uri| uri.matches(requested, public))
    }

    /// The directory permissions that it has itself, with those that they imply.
    #[must_use]
    pub fn own_permissions(&self) -> Permissions {
        Permissions::named(self.permissions.iter().map(String::as_str)).with_implied()
    }

    /// The directory permissions that it may have in somebody's name, with those that they imply.
    #[must_use]
    pub fn delegable_permissions(&self) -> Permissions {
        Permissions::named(self.delegated_permissions.iter().map(String::as_str)).with_implied()
    }

    /// Whether authorization requests of this app need PKCE.
    #[must_use]
    pub fn needs_pkce(&self) -> bool {
        matches!(self.client, ClientType::Public) || self.pkce == PkcePolicy::Required
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-23: exact strings; only the port of a loopback address of a public client may differ.
    #[test]
    fn s_23_redirect_uris_match_as_bytes() {
        let uri: RedirectUri = "https://app.example/cb".parse().unwrap();
        assert!(uri.matches("https://app.example/cb", true));
        for other in [
            "https://app.example/cb/",
            "https://app.example/cb?x",
            "https://APP.example/cb",
            "https://app.example:443/cb",
            "https://app.example/%63b",
        ] {
            assert!(!uri.matches(other, true), "{other}");
        }
        let native: RedirectUri = "http://127.0.0.1:1/cb".parse().unwrap();
        assert!(native.matches("http://127.0.0.1:49152/cb", true));
        assert!(!native.matches("http://127.0.0.1:49152/cb", false), "confidential clients have a fixed port");
        for other in [
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1@evil.example:1/cb",
            "http://127.0.0.1:+1/cb",
            "http://localhost:2/cb",
            "http://127.0.0.1:2/cb/x",
        ] {
            assert!(!native.matches(other, true), "{other}");
        }
    }

    #[test]
    fn r_04_only_plain_web_addresses_can_be_registered() {
        for good in
            ["https://app.example/cb", "https://app.example", "http://localhost:8081/cb", "http://expenses.localhost:1/cb?x=1"]
        {
            assert!(good.parse::<RedirectUri>().is_ok(), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "http://app.example/cb",
            "https://app.example/*",
            "https://app.example/cb#f",
            "https://u@app.example/",
            "https://app.example/a/../b",
            "https://APP.example/",
            "https://app.example:443/",
            "//app.example",
            "https://app.example/\\@x",
            "",
        ] {
            assert!(bad.parse::<RedirectUri>().is_err(), "{bad}");
        }
    }
}
