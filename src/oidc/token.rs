//! The claims of our tokens, and the one place where tokens are minted.
//!
//! [`mint`] takes a [`Grantee`], which only a settled journey makes: proof, permission and terms are checked where tokens come
//! from, not in pages. Application tokens ([`mint_app`]) take an authenticated [`Client`] instead.

mod claims;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
pub use claims::{AccessClaims, AppClaims, AppOnly, IdClaims, PersonClaims, UserInfo};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    Scopes,
    discovery::Issuer,
    grant::Client,
    jose::{Expected, MAX_LEEWAY, MAX_TOKEN, PublicKeys, TokenError, TokenKind, Verified},
    keys::KeySet,
};
use crate::{
    clock::Entropy,
    domain::{
        AppId, SessionId, TenantId, UserId, VerifiedEmail,
        app::{App, SigningAlg},
        tenant::IdentitySource,
        user::UserType,
    },
    error::Code,
    seal::KeyRing,
};

/// How long an ID token lives.
pub const ID_TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(5);
/// How long an access token lives.
pub const ACCESS_TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// The authentication contexts (`acr`) that are truly told apart here, and nothing that was only asked for (checklist S-08).
pub const ACR_VALUES: [&str; 3] =
    ["urn:vestibule:acr:home-organisation", "urn:vestibule:acr:one-time-passcode", "urn:vestibule:acr:local-account"];

/// The `acr` of somebody who signed in through `source`.
#[must_use]
pub fn acr(source: IdentitySource) -> &'static str {
    match source {
        IdentitySource::HomeOrganisation => ACR_VALUES[0],
        IdentitySource::OneTimePasscode => ACR_VALUES[1],
        IdentitySource::LocalAccount => ACR_VALUES[2],
    }
}

/// The `sub` of `user` for `app`: pairwise (OpenID Connect Core section 8.1), 43 ASCII characters. It follows from ids that are
/// never used again and from a key of the server, so neither two apps nor two tenants can match their guests up by it.
#[must_use]
pub fn subject(ring: &KeyRing, tenant: TenantId, app: AppId, user: UserId) -> String {
    let ids = [*tenant.as_bytes(), *app.as_bytes(), *user.as_bytes()].concat();
    BASE64_URL_SAFE_NO_PAD.encode(ring.keyed_hash("pairwise subject", &ids))
}

/// The audience of access tokens for the API of `app`. Not the `client_id`, which is the audience of ID tokens: each kind of
/// token has its own (checklist S-54).
#[must_use]
pub fn api_audience(app: AppId) -> String {
    format!("api://{app}")
}

/// An address as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownEmail {
    /// It was proven; `email_verified` is true.
    Verified(VerifiedEmail),
    /// Somebody said so; `email_verified` is false.
    Claimed(String),
}

impl KnownEmail {
    fn text(&self) -> &str {
        match self {
            Self::Verified(email) => email.address().as_str(),
            Self::Claimed(text) => text,
        }
    }
}

/// Somebody to whom tokens may be given: who, for which app, signed in how, asked for what. Made only by what settles a journey
/// or finds it still settled; its fields are the crate's own.
#[derive(Clone, Debug)]
pub struct Grantee {
    /// For which app.
    pub(crate) app: AppId,
    /// Who: the directory object.
    pub(crate) user: UserId,
    /// Guest or member.
    pub(crate) user_type: UserType,
    /// The name that people see.
    pub(crate) name: String,
    /// The address.
    pub(crate) email: Option<KnownEmail>,
    /// In which session.
    pub(crate) session: SessionId,
    /// When that began here. A person's cut-off voids what began before it.
    pub(crate) session_began: Timestamp,
    /// When it ends by itself.
    pub(crate) session_expires: Timestamp,
    /// When the person authenticated; neither a refresh nor our cookie's renewal moves it.
    pub(crate) auth_time: Timestamp,
    /// How.
    pub(crate) source: IdentitySource,
    /// How, in the words of RFC 8176.
    pub(crate) amr: Vec<String>,
    /// The issuer of the identity that the person proved.
    pub(crate) idp: String,
    /// The epoch of terms up to which everything is agreed.
    pub(crate) epoch: u64,
    /// What was granted.
    pub(crate) scopes: Scopes,
    /// The request's nonce; none on refresh.
    pub(crate) nonce: Option<String>,
    /// The person's roles in the app.
    pub(crate) roles: Vec<String>,
}

/// The body of a token response (RFC 6749 section 5.1). `Debug` shows no token.
#[derive(Clone, Serialize)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: String,
    /// `Bearer`
    pub token_type: &'static str,
    /// The access token's life, in seconds.
    pub expires_in: i64,
    /// What was granted.
    pub scope: String,
    /// The ID token, when `openid` was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// The refresh token, which whoever keeps the family adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

impl std::fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenResponse").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Mints the tokens of one grant: an access token for the app's API, or for the directory API where directory permissions
/// are granted, and, with `openid`, an ID token.
///
/// # Errors
/// [`Code::Internal`] when the tenant has no key for the app's algorithms, or the grantee is for another app.
pub fn mint(
    grantee: Grantee,
    app: &App,
    keys: &KeySet,
    ring: &KeyRing,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<TokenResponse, Code> {
    if grantee.app != app.id {
        return Err(Code::Internal);
    }
    let issuer = keys.issuer();
    // As it is now: what was taken from the app since the person signed in is granted no more.
    let scopes = grantee.scopes.within(app.delegable_permissions());
    let aud = if scopes.directory().is_empty() { api_audience(app.id) } else { issuer.base().to_owned() };
    let (iat, tid, iss) = (now.as_second(), issuer.tenant(), issuer.as_str().to_owned());
    let sub = subject(ring, tid, app.id, grantee.user);
    let person = PersonClaims::of(&grantee);
    let access = AccessClaims {
        iss: iss.clone(),
        tid,
        sub: sub.clone(),
        aud,
        client_id: app.id,
        exp: iat + ACCESS_TOKEN_LIFE.as_secs(),
        iat,
        nbf: iat,
        jti: token_id(entropy),
        scp: scopes.to_string(),
        ver: VERSION.to_owned(),
        person: person.clone(),
    };
    let access_token = sign(keys, app.access_token_alg, TokenKind::Access, &access, now)?;
    let id_token = grantee.scopes.contains(Scopes::OPENID).then(|| {
        let claims = IdClaims {
            iss,
            tid,
            sub,
            aud: app.id,
            exp: iat + ID_TOKEN_LIFE.as_secs(),
            iat,
            nbf: iat,
            nonce: grantee.nonce,
            at_hash: Some(at_hash(&access_token)),
            ver: VERSION.to_owned(),
            person,
        };
        sign(keys, app.id_token_alg, TokenKind::Id, &claims, now)
    });
    Ok(TokenResponse { id_token: id_token.transpose()?, ..response(access_token, access.scp) })
}

/// Mints an access token for the directory API, with the permissions that the app has itself.
///
/// # Errors
/// [`Code::ClientNotAllowed`] for a public client, which cannot prove who it is; [`Code::Internal`] when the tenant has no key.
pub fn mint_app(client: &Client<'_>, keys: &KeySet, now: Timestamp, entropy: &dyn Entropy) -> Result<TokenResponse, Code> {
    let app = client.confidential().ok_or(Code::ClientNotAllowed)?;
    let (issuer, iat) = (keys.issuer(), now.as_second());
    let claims = AppClaims {
        iss: issuer.as_str().to_owned(),
        tid: issuer.tenant(),
        sub: app.id,
        aud: issuer.base().to_owned(),
        client_id: app.id,
        exp: iat + ACCESS_TOKEN_LIFE.as_secs(),
        iat,
        nbf: iat,
        jti: token_id(entropy),
        roles: app.permissions.clone(),
        idtyp: AppOnly::App,
        ver: VERSION.to_owned(),
    };
    Ok(response(sign(keys, app.access_token_alg, TokenKind::Access, &claims, now)?, directory_scope(issuer)))
}

const VERSION: &str = "2.0";

/// The one scope of client credentials: everything that the app may do in the directory API.
#[must_use]
pub fn directory_scope(issuer: &Issuer) -> String {
    format!("{}/.default", issuer.base())
}

fn response(access_token: String, scope: String) -> TokenResponse {
    let expires_in = ACCESS_TOKEN_LIFE.as_secs();
    TokenResponse { access_token, token_type: "Bearer", expires_in, scope, id_token: None, refresh_token: None }
}

fn sign<C: Serialize>(keys: &KeySet, alg: SigningAlg, kind: TokenKind, claims: &C, now: Timestamp) -> Result<String, Code> {
    keys.signer(alg, now).ok_or(Code::Internal)?.sign(kind, claims)
}

fn token_id(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The left half of the token's SHA-256 (OpenID Connect Core section 3.1.3.6; both our algorithms use SHA-256).
fn at_hash(access_token: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, access_token.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])
}

/// Where an access token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The API of an app.
    App(AppId),
    /// The directory API, in somebody's name.
    Directory,
    /// The userinfo endpoint, which takes any app's token that has `openid`.
    UserInfo,
}

/// Verifies an access token of a person (RFC 9068 section 4). Our own server needs no `leeway`; others may grant up to 60 s.
///
/// # Errors
/// The first rule that the token breaks.
pub fn verify_access(
    keys: &PublicKeys,
    token: &str,
    resource: Resource,
    now: Timestamp,
    leeway: SignedDuration,
) -> Result<Verified<AccessClaims>, TokenError> {
    let audience = match resource {
        Resource::App(app) => Some(api_audience(app)),
        Resource::Directory => Some(keys.issuer().base().to_owned()),
        Resource::UserInfo => None,
    };
    let expected = Expected { kind: TokenKind::Access, audience: audience.as_deref(), now, leeway, may_be_expired: false };
    let verified = keys.verify::<AccessClaims>(token, &expected)?;
    let claims = verified.claims();
    let for_us = (claims.aud == api_audience(claims.client_id) || claims.aud == keys.issuer().base())
        && claims.scopes().contains(Scopes::OPENID);
    if resource == Resource::UserInfo && !for_us { Err(TokenError::Audience) } else { Ok(verified) }
}

/// The tenant that a token says it is of. Nothing is verified: this leads to the keys, which then judge all of it.
#[must_use]
pub fn claimed_tenant(token: &str) -> Option<TenantId> {
    #[derive(serde::Deserialize)]
    struct Claimed {
        tid: TenantId,
    }
    let claims = token.split('.').nth(1).filter(|_| token.len() <= MAX_TOKEN)?;
    let claims: Claimed = super::json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?)?;
    Some(claims.tid)
}

/// Verifies an access token of an app for the directory API; `leeway` as for [`verify_access`].
///
/// # Errors
/// The first rule that the token breaks.
pub fn verify_app(
    keys: &PublicKeys,
    token: &str,
    now: Timestamp,
    leeway: SignedDuration,
) -> Result<Verified<AppClaims>, TokenError> {
    let audience = Some(keys.issuer().base());
    let expected = Expected { kind: TokenKind::Access, audience, now, leeway, may_be_expired: false };
    keys.verify(token, &expected)
}

/// Verifies an ID token that comes back as `id_token_hint`: ours, of this tenant, signed; it may have expired. Whose it is
/// (`aud`) is for the caller to compare.
///
/// # Errors
/// The first rule that the token breaks.
pub fn verify_hint(keys: &PublicKeys, token: &str, now: Timestamp) -> Result<Verified<IdClaims>, TokenError> {
    keys.verify(token, &Expected { kind: TokenKind::Id, audience: None, now, leeway: MAX_LEEWAY, may_be_expired: true })
}

#[cfg(test)]
mod tests;
