//! The claims of our tokens, and the one place where tokens are minted.
//!
//! [`mint`] takes a [`Grantee`], which only a settled journey makes: proof, permission and terms are checked where tokens come
//! from, not in pages. Application tokens ([`mint_app`]) take an authenticated [`Client`] instead.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Scopes,
    discovery::Issuer,
    grant::Client,
    jose::{Expected, MAX_LEEWAY, PublicKeys, TokenError, TokenKind, Verified},
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

/// The `sub` of `user` for `app`: pairwise (OpenID Connect Core section 8.1), 43 ASCII characters. It follows from ids that are never
/// used again and from a key of the server, so neither two apps nor two tenants can match their guests up by it.
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

/// Claims about a person that ID and access tokens share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonClaims {
    /// The directory object.
    pub oid: UserId,
    /// The session.
    pub sid: SessionId,
    /// When the person authenticated, in seconds since 1970.
    pub auth_time: i64,
    /// How, as one of [`ACR_VALUES`].
    pub acr: String,
    /// How, in the words of RFC 8176.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// The issuer of the identity behind this one.
    pub idp: String,
    /// 1 for a guest, 0 for a member.
    pub acct: u8,
    /// The roles in the app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The epoch of terms up to which everything is agreed: a door compares it with the current one.
    pub vb_epoch: u64,
    /// The name (scope `profile`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A name to show that people recognise: the address, verified or not (scope `profile`). Never a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// The address (scope `email`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the address was proven to us (scope `email`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
}

impl PersonClaims {
    fn of(grantee: &Grantee) -> Self {
        let (profile, email) = (grantee.scopes.contains(Scopes::PROFILE), grantee.scopes.contains(Scopes::EMAIL));
        let address = grantee.email.as_ref().map(|email| email.text().to_owned());
        Self {
            oid: grantee.user,
            sid: grantee.session,
            auth_time: grantee.auth_time.as_second(),
            acr: acr(grantee.source).to_owned(),
            amr: grantee.amr.clone(),
            idp: grantee.idp.clone(),
            acct: u8::from(grantee.user_type == UserType::Guest),
            roles: grantee.roles.clone(),
            vb_epoch: grantee.epoch,
            name: profile.then(|| grantee.name.clone()),
            preferred_username: address.clone().filter(|_| profile),
            email_verified: address.as_ref().filter(|_| email).map(|_| matches!(grantee.email, Some(KnownEmail::Verified(_)))),
            email: address.filter(|_| email),
        }
    }
}

/// The claims of an ID token (OpenID Connect Core section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdClaims {
    /// The issuer.
    pub iss: String,
    /// The tenant.
    pub tid: TenantId,
    /// The pairwise subject.
    pub sub: String,
    /// The app, by `client_id`. Always one, so there is no `azp`.
    pub aud: AppId,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// When it was made.
    pub iat: i64,
    /// From when on it is valid.
    pub nbf: i64,
    /// The request's nonce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Half of the hash of the access token that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<String>,
    /// The version of the claims: `2.0`.
    pub ver: String,
    /// Who signed in.
    #[serde(flatten)]
    pub person: PersonClaims,
}

/// The claims of an access token that an app got for a person (RFC 9068 section 2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The issuer.
    pub iss: String,
    /// The tenant.
    pub tid: TenantId,
    /// The pairwise subject, equal to the ID token's.
    pub sub: String,
    /// The API that it is for; see [`api_audience`].
    pub aud: String,
    /// The app that it was given to.
    pub client_id: AppId,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// When it was made.
    pub iat: i64,
    /// From when on it is valid.
    pub nbf: i64,
    /// Its own name.
    pub jti: String,
    /// The granted scopes, in the form of the `scope` parameter.
    pub scp: String,
    /// The version of the claims: `2.0`.
    pub ver: String,
    /// Who signed in.
    #[serde(flatten)]
    pub person: PersonClaims,
}

impl AccessClaims {
    /// The granted scopes.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        Scopes::parse(&self.scp).unwrap_or_default()
    }
}

/// The claims of an access token that an app got for itself, to use the directory API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppClaims {
    /// The issuer.
    pub iss: String,
    /// The tenant. The directory API takes it from here and from nowhere else.
    pub tid: TenantId,
    /// The app again: there is no person (RFC 9068 section 2.2).
    pub sub: AppId,
    /// The directory API: the server's public address.
    pub aud: String,
    /// The app.
    pub client_id: AppId,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// When it was made.
    pub iat: i64,
    /// From when on it is valid.
    pub nbf: i64,
    /// Its own name.
    pub jti: String,
    /// The app's directory permissions.
    pub roles: Vec<String>,
    /// Says that there is no person behind it.
    pub idtyp: AppOnly,
    /// The version of the claims: `2.0`.
    pub ver: String,
}

/// The one value of `idtyp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppOnly {
    /// `app`
    #[serde(rename = "app")]
    App,
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

/// Mints the tokens of one grant: an access token for the app's API and, with `openid`, an ID token.
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
    let (iat, tid, iss) = (now.as_second(), issuer.tenant(), issuer.as_str().to_owned());
    let sub = subject(ring, tid, app.id, grantee.user);
    let person = PersonClaims::of(&grantee);
    let access = AccessClaims {
        iss: iss.clone(),
        tid,
        sub: sub.clone(),
        aud: api_audience(app.id),
        client_id: app.id,
        exp: iat + ACCESS_TOKEN_LIFE.as_secs(),
        iat,
        nbf: iat,
        jti: token_id(entropy),
        scp: grantee.scopes.to_string(),
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
        Resource::UserInfo => None,
    };
    let expected = Expected { kind: TokenKind::Access, audience: audience.as_deref(), now, leeway, may_be_expired: false };
    let verified = keys.verify::<AccessClaims>(token, &expected)?;
    let claims = verified.claims();
    let for_us = claims.aud == api_audience(claims.client_id) && claims.scopes().contains(Scopes::OPENID);
    if resource == Resource::UserInfo && !for_us { Err(TokenError::Audience) } else { Ok(verified) }
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

/// The answer of the userinfo endpoint (OpenID Connect Core section 5.3): what the access token's scopes allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserInfo<'a> {
    /// Equal to the ID token's `sub`.
    pub sub: &'a str,
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// The name to show that people recognise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<&'a str>,
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<&'a str>,
    /// Whether the address was proven to us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
}

impl<'a> UserInfo<'a> {
    /// What a verified access token entitles to.
    #[must_use]
    pub fn of(token: &'a Verified<AccessClaims>) -> Self {
        let claims = token.claims();
        Self {
            sub: &claims.sub,
            name: claims.person.name.as_deref(),
            preferred_username: claims.person.preferred_username.as_deref(),
            email: claims.person.email.as_deref(),
            email_verified: claims.person.email_verified,
        }
    }
}

#[cfg(test)]
mod tests;
