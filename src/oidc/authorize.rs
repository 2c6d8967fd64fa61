//! The authorization request (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2), in steps that cannot be skipped:
//!
//! bytes → [`RawAuthorize`] → [`BoundAuthorize`] → [`AuthorizeRequest`]
//!
//! Before a request is *bound* to a registered client and one of its redirect URIs, what is wrong with it is told on a page
//! ([`PageError`]); from then on it is told to the client ([`RedirectError`]). No other value has a place to redirect to.

mod answer;

pub(super) use answer::with_query;
pub use answer::{AuthorizationResponse, RedirectError, ResponseTarget};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{
    Scopes,
    discovery::Issuer,
    json,
    params::{Known, Params},
    token::verify_hint,
};
use crate::{
    domain::{AppId, Domain, LanguageTag, UserId, app::App},
    error::Code,
    oidc::jose::PublicKeys,
};

/// The longest `state`, in bytes. It comes back unread and unchanged.
pub const MAX_STATE: usize = 4096;
/// The longest `nonce`, in bytes.
pub const MAX_NONCE: usize = 512;
/// The longest `login_hint`: an e-mail address.
pub const MAX_LOGIN_HINT: usize = 254;

/// What is read. Parameters that only hint (`ui_locales`, `display`, ...) never make a request fail, so they are as long as
/// anything may be.
const KNOWN: &[Known] = &[
    ("client_id", 64),
    ("redirect_uri", 2048),
    ("response_type", 64),
    ("response_mode", 64),
    ("scope", 2048),
    ("state", MAX_STATE),
    ("nonce", MAX_NONCE),
    ("code_challenge", 128),
    ("code_challenge_method", 16),
    ("prompt", 256),
    ("max_age", 32),
    ("login_hint", MAX_HINT),
    ("domain_hint", MAX_HINT),
    ("ui_locales", MAX_HINT),
    ("acr_values", MAX_HINT),
    ("display", MAX_HINT),
    ("claims_locales", MAX_HINT),
    ("claims", MAX_HINT),
    ("id_token_hint", MAX_HINT),
    ("request", MAX_HINT),
    ("request_uri", MAX_HINT),
];
const MAX_HINT: usize = 64 * 1024;
/// Longer than any list of contexts that a home organisation could mean.
const MAX_ACR_VALUES: usize = 256;
/// As many languages as anybody speaks.
const MAX_LANGUAGES: usize = 8;

/// How the answer travels (OAuth 2.0 Multiple Response Types, Form Post Response Mode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResponseMode {
    /// In the query of a redirect.
    #[default]
    Query,
    /// In a form that posts itself.
    FormPost,
}

/// A set of `prompt` values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prompts(u8);

impl Prompts {
    /// Nobody may be asked anything.
    pub const NONE: Self = Self(1);
    /// The person authenticates again.
    pub const LOGIN: Self = Self(2);
    /// The person is asked for permission again.
    pub const CONSENT: Self = Self(4);
    /// The person chooses an account.
    pub const SELECT_ACCOUNT: Self = Self(8);

    const ALL: [(Self, &'static str); 4] =
        [(Self::NONE, "none"), (Self::LOGIN, "login"), (Self::CONSENT, "consent"), (Self::SELECT_ACCOUNT, "select_account")];

    /// Reads a `prompt` parameter; `None` for a value that is not known and for `none` in company (Core section 3.1.2.1).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let one = |name: &str| Self::ALL.iter().find(|(_, known)| *known == name).map(|(prompt, _)| prompt.0);
        let prompts = Self(text.split(' ').filter(|name| !name.is_empty()).try_fold(0, |all, name| Some(all | one(name)?))?);
        (prompts == Self::NONE || !prompts.contains(Self::NONE)).then_some(prompts)
    }

    /// Whether `other` is in it.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of all values there are, for the discovery document.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|(_, name)| *name)
    }
}

/// An S256 code challenge (RFC 7636): a SHA-256, so always 43 characters of base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeChallenge(pub(super) [u8; 32]);

impl CodeChallenge {
    fn parse(text: &str) -> Option<Self> {
        BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// Whether `verifier` (RFC 7636 section 4.1: 43 to 128 unreserved characters) belongs to it.
    #[must_use]
    pub fn matches(&self, verifier: &str) -> bool {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        (43..=128).contains(&verifier.len())
            && verifier.bytes().all(unreserved)
            && crate::secret::constant_time_eq(digest.as_ref(), &self.0)
    }
}

/// A refusal that is shown on a page, since nobody is known to whom it could be told (checklist S-24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {}", .code.sentence())]
pub struct PageError {
    /// What is wrong.
    pub code: Code,
}

/// An authorization request as it arrived.
#[derive(Debug)]
pub struct RawAuthorize {
    params: Params,
}

impl RawAuthorize {
    /// Reads a query (without `?`) or a form body. Faults come to light in the next two steps, in the order that is safe.
    #[must_use]
    pub fn parse(input: &[u8]) -> Self {
        Self { params: Params::parse(input, KNOWN) }
    }

    /// The app that the request names, to look it up.
    ///
    /// # Errors
    /// When it names none, or more than one.
    pub fn client_id(&self) -> Result<AppId, PageError> {
        let text = self.params.peek("client_id").map_err(|code| PageError { code })?;
        text.and_then(|text| text.parse().ok()).ok_or(PageError { code: Code::AppUnknown })
    }

    /// Binds the request to `app`, as it was looked up by [`RawAuthorize::client_id`], and to one of its redirect URIs.
    ///
    /// # Errors
    /// When the app is not known or may not be used, or the redirect URI is not given or not registered. This comes before
    /// anything else that may be wrong (checklist R-03).
    pub fn bind(mut self, app: Option<&App>) -> Result<BoundAuthorize<'_>, PageError> {
        let page = |code| PageError { code };
        let named = self.client_id()?;
        let app = app.filter(|app| app.id == named).ok_or(page(Code::AppUnknown))?;
        let redirect_uri = self.params.take("redirect_uri").map_err(page)?.unwrap_or_default();
        if app.redirect_uri(&redirect_uri).is_none() {
            return Err(page(Code::RedirectUriUnknown));
        }
        if !app.enabled {
            return Err(page(Code::ClientNotAllowed));
        }
        let mode = match self.params.take("response_mode") {
            Ok(None) => Ok(ResponseMode::Query),
            Ok(Some(mode)) if mode == "query" => Ok(ResponseMode::Query),
            Ok(Some(mode)) if mode == "form_post" => Ok(ResponseMode::FormPost),
            Ok(Some(_)) => Err(Code::RequestInvalid),
            Err(code) => Err(code),
        };
        // A state that cannot be read cannot be returned; that it is at fault is said in `validate`.
        let state = self.params.peek("state").unwrap_or_default().map(str::to_owned);
        let target = ResponseTarget { redirect_uri, state, response_mode: mode.unwrap_or_default() };
        Ok(BoundAuthorize { app, target, mode, params: self.params })
    }
}

/// An authorization request of a known client with a registered redirect URI. What else is wrong may be told to that client.
#[derive(Debug)]
pub struct BoundAuthorize<'a> {
    app: &'a App,
    target: ResponseTarget,
    mode: Result<ResponseMode, Code>,
    params: Params,
}

impl BoundAuthorize<'_> {
    /// Where an answer goes.
    #[must_use]
    pub fn target(&self) -> &ResponseTarget {
        &self.target
    }

    /// Checks everything else. `keys` verify an `id_token_hint`.
    ///
    /// # Errors
    /// The first rule that the request breaks.
    pub fn validate(mut self, keys: &PublicKeys, now: jiff::Timestamp) -> Result<AuthorizeRequest, RedirectError> {
        let silent =
            self.params.peek("prompt").ok().flatten().is_some_and(|prompts| prompts.split(' ').any(|name| name == "none"));
        match self.read(keys, now) {
            Ok(request) => Ok(request),
            Err(Fault(code, description)) => {
                Err(RedirectError { target: self.target, code, description: description.into(), silent })
            }
        }
    }

    fn read(&mut self, keys: &PublicKeys, now: jiff::Timestamp) -> Result<AuthorizeRequest, Fault> {
        if let Some((code, name)) = self.params.fault() {
            return Err(Fault(code, name));
        }
        for (parameter, code) in [("request", Code::RequestObject), ("request_uri", Code::RequestUri)] {
            if self.take(parameter)?.is_some() {
                return Err(Fault(code, parameter));
            }
        }
        self.mode.map_err(|code| Fault(code, "response_mode: query and form_post are offered"))?;
        match self.take("response_type")?.as_deref() {
            Some("code") => {}
            Some(_) => return Err(Fault(Code::ResponseTypeUnsupported, "response_type: code is offered")),
            None => return Err(Fault(Code::RequestInvalid, "response_type is missing")),
        }
        let asked = self.take("scope")?.unwrap_or_default();
        let scopes = Scopes::parse_for(&asked, keys.issuer().base()).unwrap_or_default();
        let scopes = scopes.within(self.app.delegable_permissions());
        if !scopes.contains(Scopes::OPENID) {
            return Err(Fault(Code::ScopeInvalid, "scope: openid is missing"));
        }
        let prompts = Prompts::parse(&self.take("prompt")?.unwrap_or_default()).ok_or(Fault(Code::RequestInvalid, "prompt"))?;
        let max_age = self.take("max_age")?.map(|text| seconds(&text)).transpose()?;
        let code_challenge = self.code_challenge()?;
        if self.take("claims")?.is_some_and(|text| !is_claims_request(&text)) {
            return Err(Fault(Code::RequestInvalid, "claims: not a JSON object"));
        }
        let hinted_user = self.take("id_token_hint")?.map(|hint| self.hinted_user(&hint, keys, now)).transpose()?;
        Ok(AuthorizeRequest {
            app: self.app.id,
            scopes,
            nonce: self.take("nonce")?,
            code_challenge,
            prompts,
            max_age,
            hinted_user,
            login_hint: self.take("login_hint")?.filter(|hint| hint.len() <= MAX_LOGIN_HINT),
            domain_hint: self.take("domain_hint")?.and_then(|hint| hint.parse().ok()),
            acr_values: self.take("acr_values")?.filter(|values| values.len() <= MAX_ACR_VALUES),
            ui_locales: languages(&self.take("ui_locales")?.unwrap_or_default()),
            target: self.target.clone(),
        })
    }

    fn take(&mut self, name: &'static str) -> Result<Option<String>, Fault> {
        self.params.take(name).map_err(|code| Fault(code, name))
    }

    fn code_challenge(&mut self) -> Result<Option<CodeChallenge>, Fault> {
        let method = self.take("code_challenge_method")?;
        match self.take("code_challenge")? {
            None if self.app.needs_pkce() => Err(Fault(Code::PkceRequired, "code_challenge is missing")),
            None if method.is_some() => Err(Fault(Code::RequestInvalid, "code_challenge is missing")),
            None => Ok(None),
            // Absent means `plain` (RFC 7636 section 4.3), which is not offered.
            Some(_) if method.as_deref() != Some("S256") => {
                Err(Fault(Code::PkceRequired, "code_challenge_method: S256 is required"))
            }
            Some(text) => CodeChallenge::parse(&text)
                .map(Some)
                .ok_or(Fault(Code::RequestInvalid, "code_challenge: 43 characters of base64url are required")),
        }
    }

    /// The person that an ID token of ours names, if this app got it.
    fn hinted_user(&self, hint: &str, keys: &PublicKeys, now: jiff::Timestamp) -> Result<UserId, Fault> {
        let hint = verify_hint(keys, hint, now).ok().filter(|hint| hint.claims().aud == self.app.id);
        hint.map(|hint| hint.claims().person.oid).ok_or(Fault(Code::RequestInvalid, "id_token_hint"))
    }
}

/// A code, and words for the app's maker: never anything from the request.
struct Fault(Code, &'static str);

/// `max_age`: digits only, up to 136 years.
fn seconds(text: &str) -> Result<u32, Fault> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or(Fault(Code::RequestInvalid, "max_age: a number of seconds"))
}

/// Whether `text` is a claims request (Core section 5.5): an object of objects. Which claims it asks for makes no difference
/// (`claims_parameter_supported` is false): scopes decide, and `auth_time` is always there.
fn is_claims_request(text: &str) -> bool {
    let object = json::from_slice::<serde_json::Map<String, serde_json::Value>>(text.as_bytes());
    object.is_some_and(|claims| {
        ["userinfo", "id_token"].iter().all(|part| claims.get(*part).is_none_or(|v| v.is_object() || v.is_null()))
    })
}

/// The languages that can be read, first to last.
fn languages(text: &str) -> Vec<LanguageTag> {
    text.split(' ').filter_map(|tag| tag.parse().ok()).take(MAX_LANGUAGES).collect()
}

/// A valid authorization request: plain data, which travels sealed in the person's browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizeRequest {
    /// The app.
    pub app: AppId,
    /// Where the answer goes.
    pub target: ResponseTarget,
    /// What it asks to be told; always with `openid`.
    pub scopes: Scopes,
    /// Comes back in the ID token.
    pub nonce: Option<String>,
    /// What the code will be bound to; always there unless the app is exempt.
    pub code_challenge: Option<CodeChallenge>,
    /// What the person has to be asked, or must not be.
    pub prompts: Prompts,
    /// The greatest age of the authentication, in seconds.
    pub max_age: Option<u32>,
    /// The only person the app wants to hear about (`id_token_hint`, verified).
    pub hinted_user: Option<UserId>,
    /// An address to begin with: shown for correction, trusted for nothing. At most 254 bytes.
    pub login_hint: Option<String>,
    /// A home organisation to begin with; trusted for nothing.
    pub domain_hint: Option<Domain>,
    /// The contexts that the app would like, to be passed on to a home organisation; never echoed (S-08). At most 256 bytes.
    pub acr_values: Option<String>,
    /// The languages that the app prefers. At most eight.
    pub ui_locales: Vec<LanguageTag>,
}

impl AuthorizeRequest {
    /// Whether nobody may be asked anything.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.prompts.contains(Prompts::NONE)
    }

    /// Whether somebody who authenticated at `auth_time` has to do so again (`prompt=login`, `max_age`; 0 is always too old).
    #[must_use]
    pub fn needs_fresh_login(&self, auth_time: jiff::Timestamp, now: jiff::Timestamp) -> bool {
        let age = now.as_second().saturating_sub(auth_time.as_second());
        self.prompts.contains(Prompts::LOGIN) || self.max_age.is_some_and(|most| most == 0 || age > i64::from(most))
    }

    /// The answer that brings the code.
    #[must_use]
    pub fn success(&self, code: &crate::secret::Secret, issuer: &Issuer) -> AuthorizationResponse {
        self.target.answer(vec![("code", code.expose().into())], issuer)
    }

    /// A refusal of this request.
    #[must_use]
    pub fn refuse(&self, code: Code) -> RedirectError {
        RedirectError { target: self.target.clone(), code, description: String::new(), silent: self.is_silent() }
    }
}

#[cfg(test)]
mod tests;
