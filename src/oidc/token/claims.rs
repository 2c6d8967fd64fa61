//! What tokens say.

use serde::{Deserialize, Serialize};

use super::{Grantee, KnownEmail, acr};
use crate::{
    domain::{AppId, SessionId, TenantId, UserId, user::UserType},
    oidc::{Scopes, jose::Verified},
};

/// Claims about a person that ID and access tokens share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonClaims {
    /// The directory object.
    pub oid: UserId,
    /// The session.
    pub sid: SessionId,
    /// When the session began at the provider, in *milliseconds* since 1970: `auth_time` may lie far before it, and a cut-off
    /// in the same second must not void what began after it.
    pub vb_began: i64,
    /// When the session ends by itself, in seconds since 1970; an app's own session must not outlive it (OpenID Connect
    /// Enterprise Extensions, `session_expiry`).
    pub session_expiry: i64,
    /// When the person authenticated, in seconds since 1970.
    pub auth_time: i64,
    /// How, as one of [`ACR_VALUES`](super::ACR_VALUES).
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
    pub(super) fn of(grantee: &Grantee) -> Self {
        let (profile, email) = (grantee.scopes.contains(Scopes::PROFILE), grantee.scopes.contains(Scopes::EMAIL));
        let address = grantee.email.as_ref().map(|email| email.text().to_owned());
        Self {
            oid: grantee.user,
            sid: grantee.session,
            vb_began: grantee.session_began.as_millisecond(),
            session_expiry: grantee.session_expires.as_second(),
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
    /// The API that it is for; see [`api_audience`](super::api_audience).
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
