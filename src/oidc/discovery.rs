//! What a tenant's provider is called, where its endpoints are, and what it says about itself.

use std::{fmt, str::FromStr};

use serde::Serialize;

use super::{Scopes, authorize::Prompts, token::ACR_VALUES};
use crate::domain::{LanguageTag, TenantId, WebUrl};

/// The issuer of a tenant: `{base}/{tenant id}/v2.0`. Compared exactly, as text (OpenID Connect Discovery section 4.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Issuer {
    text: String,
    /// The length of the base in `text`.
    base: usize,
    tenant: TenantId,
}

/// Why a text is no issuer of a Vestibule server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an issuer looks like https://host/<tenant id>/v2.0")]
pub struct IssuerError;

impl Issuer {
    /// The issuer of `tenant` at the server whose public address is `base`. A query, a fragment and a trailing slash of the
    /// base are left out.
    #[must_use]
    pub fn new(base: &WebUrl, tenant: TenantId) -> Self {
        let mut url = base.as_url().clone();
        url.set_query(None);
        url.set_fragment(None);
        let base = url.as_str().trim_end_matches('/');
        Self { text: format!("{base}/{tenant}/v2.0"), base: base.len(), tenant }
    }

    /// The `iss` of tokens and answers.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The public address of the server, without a slash at its end. Also the audience of the directory API.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.text[..self.base]
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The path of the issuer on its host, such as `/<tenant id>/v2.0`.
    fn path(&self) -> &str {
        let after_scheme = self.text.find("://").map_or(0, |at| at + 3);
        self.text[after_scheme..].find('/').map_or("", |at| &self.text[after_scheme + at..])
    }

    /// The paths under which the metadata is found: below the issuer (OpenID Connect Discovery section 4), and inserted before
    /// its path (RFC 8414 section 3) under both names.
    #[must_use]
    pub fn metadata_paths(&self) -> [String; 3] {
        let path = self.path();
        [
            format!("{path}/.well-known/openid-configuration"),
            format!("/.well-known/openid-configuration{path}"),
            format!("/.well-known/oauth-authorization-server{path}"),
        ]
    }
}

impl FromStr for Issuer {
    type Err = IssuerError;

    /// Reads an issuer that somebody configured. Only its exact form is read, so that it compares equal to what tokens say.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (base, tenant) = text.strip_suffix("/v2.0").and_then(|rest| rest.rsplit_once('/')).ok_or(IssuerError)?;
        let issuer = Self::new(&base.parse().map_err(|_| IssuerError)?, tenant.parse().map_err(|_| IssuerError)?);
        if issuer.text == text { Ok(issuer) } else { Err(IssuerError) }
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The URLs of a tenant's provider, built once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Whose they are.
    pub issuer: Issuer,
    /// `{base}/{tenant}/oauth2/v2.0/authorize`
    pub authorization: String,
    /// `{base}/{tenant}/oauth2/v2.0/token`
    pub token: String,
    /// `{base}/{tenant}/oauth2/v2.0/logout`
    pub end_session: String,
    /// `{base}/{tenant}/discovery/v2.0/keys`
    pub jwks: String,
    /// `{base}/{tenant}/oidc/userinfo`
    pub userinfo: String,
}

impl Endpoints {
    /// The endpoints of `issuer`.
    #[must_use]
    pub fn new(issuer: Issuer) -> Self {
        let url = |path: &str| format!("{}/{}/{path}", issuer.base(), issuer.tenant());
        Self {
            authorization: url("oauth2/v2.0/authorize"),
            token: url("oauth2/v2.0/token"),
            end_session: url("oauth2/v2.0/logout"),
            jwks: url("discovery/v2.0/keys"),
            userinfo: url("oidc/userinfo"),
            issuer,
        }
    }

    /// The metadata document, for pages in `languages`.
    #[must_use]
    pub fn metadata<'a>(&'a self, languages: &'a [LanguageTag]) -> Metadata<'a> {
        Metadata {
            issuer: self.issuer.as_str(),
            authorization_endpoint: &self.authorization,
            token_endpoint: &self.token,
            userinfo_endpoint: &self.userinfo,
            jwks_uri: &self.jwks,
            end_session_endpoint: &self.end_session,
            scopes_supported: Scopes::names().collect(),
            response_types_supported: ["code"],
            response_modes_supported: ["query", "form_post"],
            grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
            subject_types_supported: ["pairwise"],
            id_token_signing_alg_values_supported: ["RS256", "ES256"],
            token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
            code_challenge_methods_supported: ["S256"],
            prompt_values_supported: Prompts::names().collect(),
            display_values_supported: ["page"],
            claim_types_supported: ["normal"],
            claims_supported: CLAIMS,
            acr_values_supported: ACR_VALUES,
            ui_locales_supported: languages,
            claims_parameter_supported: false,
            request_parameter_supported: false,
            request_uri_parameter_supported: false,
            authorization_response_iss_parameter_supported: true,
        }
    }
}

/// The claims that tokens may carry.
const CLAIMS: &[&str] = &[
    "iss",
    "tid",
    "sub",
    "oid",
    "aud",
    "exp",
    "iat",
    "nbf",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "idp",
    "acct",
    "name",
    "preferred_username",
    "email",
    "email_verified",
    "sid",
    "session_expiry",
    "ver",
    "roles",
    "at_hash",
];

/// Provider metadata (OpenID Connect Discovery section 3, RFC 8414 section 2, RFC 9207 section 3).
///
/// What has a default that is wrong for us (`request_uri_parameter_supported` is *true* when absent) is always said.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "each field is the metadata member of its name")]
pub struct Metadata<'a> {
    pub issuer: &'a str,
    pub authorization_endpoint: &'a str,
    pub token_endpoint: &'a str,
    pub userinfo_endpoint: &'a str,
    pub jwks_uri: &'a str,
    pub end_session_endpoint: &'a str,
    pub scopes_supported: Vec<&'static str>,
    pub response_types_supported: [&'static str; 1],
    pub response_modes_supported: [&'static str; 2],
    pub grant_types_supported: [&'static str; 3],
    pub subject_types_supported: [&'static str; 1],
    pub id_token_signing_alg_values_supported: [&'static str; 2],
    pub token_endpoint_auth_methods_supported: [&'static str; 3],
    pub code_challenge_methods_supported: [&'static str; 1],
    pub prompt_values_supported: Vec<&'static str>,
    pub display_values_supported: [&'static str; 1],
    pub claim_types_supported: [&'static str; 1],
    pub claims_supported: &'static [&'static str],
    pub acr_values_supported: [&'static str; 3],
    pub ui_locales_supported: &'a [LanguageTag],
    pub claims_parameter_supported: bool,
    pub request_parameter_supported: bool,
    pub request_uri_parameter_supported: bool,
    pub authorization_response_iss_parameter_supported: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "0000000a-0000-4000-8000-00000000000b";

    fn issuer(base: &str) -> Issuer {
        Issuer::new(&base.parse().unwrap(), TENANT.parse().unwrap())
    }

    #[test]
    fn s_27_the_issuer_is_exact_and_leads_to_its_metadata() {
        let plain = issuer("https://vestibule.example/");
        assert_eq!(plain.as_str(), format!("https://vestibule.example/{TENANT}/v2.0"));
        assert_eq!(plain.base(), "https://vestibule.example");
        assert_eq!(
            plain.metadata_paths(),
            [
                format!("/{TENANT}/v2.0/.well-known/openid-configuration"),
                format!("/.well-known/openid-configuration/{TENANT}/v2.0"),
                format!("/.well-known/oauth-authorization-server/{TENANT}/v2.0"),
            ]
        );
        let below = issuer("https://vestibule.example/sso/?x#y");
        assert_eq!(below.as_str(), format!("https://vestibule.example/sso/{TENANT}/v2.0"));
        assert_eq!(below.metadata_paths()[2], format!("/.well-known/oauth-authorization-server/sso/{TENANT}/v2.0"));
        for same in [plain, below] {
            assert_eq!(same.as_str().parse::<Issuer>().unwrap(), same);
        }
    }

    #[test]
    fn j_09_an_issuer_has_one_spelling() {
        for other in [
            format!("https://vestibule.example/{TENANT}/v2.0/"),
            format!("https://vestibule.example/{TENANT}"),
            format!("https://VESTIBULE.example/{TENANT}/v2.0"),
            format!("https://vestibule.example:443/{TENANT}/v2.0"),
            format!("https://vestibule.example//{TENANT}/v2.0"),
            format!("https://vestibule.example/{}/v2.0", TENANT.to_ascii_uppercase()),
            format!("http://vestibule.example/{TENANT}/v2.0"),
            "https://vestibule.example/common/v2.0".to_owned(),
            String::new(),
        ] {
            assert!(other.parse::<Issuer>().is_err(), "{other}");
        }
    }

    /// Checklist 1.3, condition by condition.
    #[test]
    fn the_metadata_passes_the_conformance_conditions() {
        let endpoints = Endpoints::new(issuer("https://vestibule.example"));
        let languages = ["en".parse().unwrap(), "pt-br".parse().unwrap()];
        let document = serde_json::to_value(endpoints.metadata(&languages)).unwrap();
        let list =
            |name: &str| document[name].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(document["issuer"], endpoints.issuer.as_str());
        for endpoint in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"] {
            let url = document[endpoint].as_str().unwrap();
            assert!(url.starts_with(&format!("https://vestibule.example/{TENANT}/")), "{url}");
        }
        assert!(list("id_token_signing_alg_values_supported").contains(&"RS256".to_owned()));
        assert!(list("scopes_supported").contains(&"openid".to_owned()));
        assert_eq!(list("code_challenge_methods_supported"), ["S256"]);
        assert_eq!(list("response_types_supported"), ["code"]);
        assert_eq!(list("subject_types_supported"), ["pairwise"]);
        assert_eq!(list("ui_locales_supported"), ["en", "pt-BR"]);
        assert_eq!(list("prompt_values_supported"), ["none", "login", "consent", "select_account"]);
        for unsupported in ["request_parameter_supported", "request_uri_parameter_supported", "claims_parameter_supported"] {
            assert_eq!(document[unsupported], false, "{unsupported}");
        }
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    }
}
