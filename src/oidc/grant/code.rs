//! Authorization codes: sealed, opaque to everybody else, 60 seconds, bound to all that they were issued for.
//!
//! A code *is* its content, sealed: issuing one writes nothing. That it is used once is the store's part, under
//! [`CodeGrant::id`].

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Client, CodeExchange, GrantId};
use crate::{
    clock::Entropy,
    domain::{AppId, SessionId, TenantId, UserId, VerifiedEmail, tenant::IdentitySource},
    error::Code,
    oidc::{AuthorizeRequest, Scopes, authorize::CodeChallenge},
    seal::KeyRing,
    secret::{Secret, SecretHash},
};

/// How long a code lives.
pub const CODE_LIFE: SignedDuration = SignedDuration::from_secs(60);

/// What a code stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeGrant {
    /// Its name; used once.
    pub id: GrantId,
    /// The tenant that issued it.
    pub tenant: TenantId,
    /// The app that it was issued to.
    pub app: AppId,
    /// The SHA-256 of the redirect URI that it was sent to: codes travel in URLs and should stay short.
    pub redirect_uri: [u8; 32],
    /// What the verifier has to match.
    pub code_challenge: Option<CodeChallenge>,
    /// For the ID token.
    pub nonce: Option<String>,
    /// What was granted.
    pub scopes: Scopes,
    /// Who signed in.
    pub sign_in: SignIn,
    /// From when on it is void. Not also from when on it is valid: another node's clock may be a little behind.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub expires: Timestamp,
}

/// Who signed in, and how: what tokens say, now and after every refresh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// The directory object.
    pub user: UserId,
    /// The session. When it ends, nothing of it can be traded any more.
    pub session: SessionId,
    /// When the session began, to the millisecond: see `vb_began` of the claims.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub session_began: Timestamp,
    /// When it ends by itself.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub session_expires: Timestamp,
    /// When the person authenticated.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub auth_time: Timestamp,
    /// How.
    pub source: IdentitySource,
    /// How, in the words of RFC 8176.
    pub amr: Vec<String>,
    /// The issuer of the identity that was proven.
    pub idp: String,
    /// The address that was verified then.
    pub email: Option<VerifiedEmail>,
    /// The epoch of terms up to which everything was agreed.
    pub epoch: u64,
}

/// Which binding of a code does not hold. For logs and the audit; the client learns `invalid_grant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefusal {
    /// Not a code of ours.
    #[error("not a code")]
    Unknown,
    /// Older than [`CODE_LIFE`].
    #[error("the code has expired")]
    Expired,
    /// Of another tenant.
    #[error("the code is of another tenant")]
    Tenant,
    /// Of another client.
    #[error("the code is of another client")]
    Client,
    /// Sent to another redirect URI.
    #[error("the code was sent to another redirect URI")]
    RedirectUri,
    /// PKCE: the verifier is missing, wrong, or belongs to a code that has no challenge.
    #[error("the code verifier does not fit")]
    Verifier,
}

impl GrantRefusal {
    /// What the client is told.
    #[must_use]
    pub fn code(self) -> Code {
        Code::GrantInvalid
    }
}

impl CodeGrant {
    /// The grant that answers `request` for somebody who signed in.
    #[must_use]
    pub fn issue(request: &AuthorizeRequest, tenant: TenantId, sign_in: SignIn, now: Timestamp, entropy: &dyn Entropy) -> Self {
        Self {
            id: GrantId::random(entropy),
            tenant,
            app: request.app,
            redirect_uri: *SecretHash::of(request.target.redirect_uri().as_bytes()).as_bytes(),
            code_challenge: request.code_challenge,
            nonce: request.nonce.clone(),
            scopes: request.scopes,
            sign_in,
            expires: now.checked_add(CODE_LIFE).unwrap_or(Timestamp::MAX),
        }
    }

    /// The code.
    #[must_use]
    pub fn seal(&self, ring: &KeyRing, entropy: &dyn Entropy) -> Secret {
        Secret::new(ring.seal(&purpose(self.tenant), self, entropy))
    }

    /// What `code` stands for, if `tenant` issued it.
    ///
    /// # Errors
    /// When it is not a code of ours in every byte (checklist G-10).
    pub fn open(ring: &KeyRing, tenant: TenantId, code: &Secret) -> Result<Self, GrantRefusal> {
        ring.open(&purpose(tenant), code.expose()).ok_or(GrantRefusal::Unknown)
    }
}

fn purpose(tenant: TenantId) -> Vec<u8> {
    [b"code".as_slice(), tenant.as_bytes()].concat()
}

/// Checks everything that a code is bound to (checklist S-29) but that it is used once and that its session goes on, which the
/// store knows.
///
/// PKCE (checklist S-11): a challenge needs its verifier, and a verifier without a challenge is a downgrade. An app that needs
/// PKCE by now cannot trade a code that was issued when it did not.
///
/// # Errors
/// The first binding that does not hold.
pub fn check_code(
    grant: &CodeGrant,
    exchange: &CodeExchange,
    client: &Client<'_>,
    tenant: TenantId,
    now: Timestamp,
) -> Result<(), GrantRefusal> {
    if grant.tenant != tenant {
        return Err(GrantRefusal::Tenant);
    }
    if grant.app != client.app().id {
        return Err(GrantRefusal::Client);
    }
    if now >= grant.expires {
        return Err(GrantRefusal::Expired);
    }
    let sent_to = exchange.redirect_uri.as_ref().map(|uri| *SecretHash::of(uri.as_bytes()).as_bytes());
    if sent_to != Some(grant.redirect_uri) {
        return Err(GrantRefusal::RedirectUri);
    }
    let verifier_fits = match (&grant.code_challenge, &exchange.verifier) {
        (Some(challenge), Some(verifier)) => challenge.matches(verifier.expose()),
        (None, None) => !client.app().needs_pkce(),
        _ => false,
    };
    if verifier_fits { Ok(()) } else { Err(GrantRefusal::Verifier) }
}

#[cfg(test)]
mod tests;
