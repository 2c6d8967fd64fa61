//! Refresh families: one secret a family, one token a generation, and reuse ends it all.
//!
//! A refresh token is the family's name, whose it is, a generation number, and a MAC over them with the family's secret. Whose
//! it is stands there so that the family and its user can be read together; nobody believes it. Any token of
//! a family can be made again from its record, which keeps the secret sealed: the same successor can be handed out twice within
//! the grace period (checklist G-08), and an old token is told from a forged one at any later time, restart or not (G-07).
//! Generations are counted, not timed: a hundred rotations in one second are a hundred generations (G-06).

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Client, CodeGrant, GrantId, code::SignIn};
use crate::{
    clock::Entropy,
    domain::{AppId, TenantId, UserId, tenant::IdentitySource},
    error::Code,
    oidc::Scopes,
    seal::KeyRing,
    secret::{Secret, constant_time_eq},
};

/// How long the token before the current one still yields the current one, to the same client: two tabs that refresh at once.
pub const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// How long a family lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Without being used.
    pub idle: SignedDuration,
    /// In all, from the sign-in's grant on.
    pub absolute: SignedDuration,
}

impl Limits {
    /// The limits for people who sign in through `source`: 24 hours idle for passcodes, else 14 days; 30 days in all.
    #[must_use]
    pub fn of(source: IdentitySource) -> Self {
        let idle = match source {
            IdentitySource::OneTimePasscode => SignedDuration::from_hours(24),
            IdentitySource::HomeOrganisation | IdentitySource::LocalAccount => SignedDuration::from_hours(14 * 24),
        };
        Self { idle, absolute: SignedDuration::from_hours(30 * 24) }
    }

    /// The same, but in all no longer than `most`.
    #[must_use]
    pub fn at_most(self, most: SignedDuration) -> Self {
        Self { idle: self.idle.min(most), absolute: self.absolute.min(most) }
    }
}

/// A refresh family as it is stored, under its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshFamily {
    /// Its name, which is the code's that it began with.
    pub id: GrantId,
    /// The app that it was given to.
    pub app: AppId,
    /// Who signed in.
    pub sign_in: SignIn,
    /// What was granted. A refresh can ask for less, never for more.
    pub scopes: Scopes,
    /// The number of the current token.
    pub generation: u64,
    /// When the current token was made.
    pub rotated: Timestamp,
    /// Until when it can be used unless it is rotated.
    pub idle_until: Timestamp,
    /// Until when it can be used at all.
    pub expires: Timestamp,
    /// When it was revoked. It stays until it would have expired, so that a later reuse is still told from a forgery.
    pub revoked: Option<Timestamp>,
    idle: SignedDuration,
    /// 32 bytes, sealed for the tenant and the family.
    sealed_secret: String,
}

/// A refresh token as a client presents it: well-formed, but nothing is proven yet.
#[derive(Clone)]
pub struct PresentedToken {
    family: GrantId,
    user: UserId,
    generation: u64,
    mac: [u8; 32],
}

/// Why a refresh token was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// Not a token of this family, or not this client's. Changes nothing: whoever guesses must not be able to end a session.
    #[error("not a refresh token of this client")]
    Unknown,
    /// An old token was used again: somebody has a copy. The family, revoked, is to be stored.
    #[error("a refresh token was used twice")]
    Reused(Box<RefreshFamily>),
    /// Too old, unused for too long, or revoked.
    #[error("the refresh token is no longer valid")]
    Expired,
    /// More was asked for than was granted.
    #[error("the scope is wider than what was granted")]
    Scope,
}

impl RefreshError {
    /// What the client is told.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Scope => Code::ScopeInvalid,
            Self::Unknown | Self::Reused(_) | Self::Expired => Code::GrantInvalid,
        }
    }
}

/// A rotation that went well.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// The family to store, if nobody else changed it meanwhile; `None` within the grace period, where nothing changes.
    pub family: Option<RefreshFamily>,
    /// The new current token.
    pub token: Secret,
    /// What this access token is for.
    pub scopes: Scopes,
}

impl PresentedToken {
    const LENGTH: usize = 16 + 16 + 8 + 32;

    /// Reads a token; `None` when it has not exactly the form of one.
    #[must_use]
    pub fn parse(token: &Secret) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(token.expose()).ok()?);
        let bytes: &[u8; Self::LENGTH] = bytes.as_slice().try_into().ok()?;
        let (family, rest) = bytes.split_first_chunk()?;
        let (user, rest) = rest.split_first_chunk()?;
        let (generation, mac) = rest.split_first_chunk()?;
        Some(Self {
            family: GrantId(*family),
            user: UserId(uuid::Uuid::from_bytes(*user)),
            generation: u64::from_be_bytes(*generation),
            mac: mac.try_into().ok()?,
        })
    }

    /// The family that it names, to look it up.
    #[must_use]
    pub fn family(&self) -> GrantId {
        self.family
    }

    /// The user that it names, to look them up.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }
}

impl RefreshFamily {
    /// Begins a family for what a code was traded for, and makes its first token.
    #[must_use]
    pub fn begin(grant: &CodeGrant, limits: Limits, ring: &KeyRing, now: Timestamp, entropy: &dyn Entropy) -> (Self, Secret) {
        let mut secret = Zeroizing::new([0u8; 32]);
        entropy.fill(&mut *secret);
        let expires = later(now, limits.absolute);
        let family = Self {
            id: grant.id,
            app: grant.app,
            sign_in: grant.sign_in.clone(),
            scopes: grant.scopes,
            generation: 1,
            rotated: now,
            idle_until: later(now, limits.idle).min(expires),
            expires,
            revoked: None,
            idle: limits.idle,
            sealed_secret: BASE64_URL_SAFE_NO_PAD.encode(ring.seal_bytes(&purpose(grant.tenant, grant.id), &*secret, entropy)),
        };
        let token = family.token(&mac_key(&*secret), 1);
        (family, token)
    }

    /// Trades the current token for the next one.
    ///
    /// # Errors
    /// See [`RefreshError`]. On [`RefreshError::Reused`] the family that it carries must be stored before the client is answered.
    pub fn rotate(
        &self,
        presented: &PresentedToken,
        client: &Client<'_>,
        requested: Option<Scopes>,
        tenant: TenantId,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Result<Rotated, RefreshError> {
        let key = self.key(tenant, ring).ok_or(RefreshError::Unknown)?;
        if self.app != client.app().id || !self.made(&key, presented) {
            return Err(RefreshError::Unknown);
        }
        if self.revoked.is_some() || now >= self.idle_until || now >= self.expires {
            return Err(RefreshError::Expired);
        }
        let age = now.duration_since(self.rotated);
        let in_grace = presented.generation + 1 == self.generation && age <= GRACE;
        if presented.generation != self.generation && !in_grace {
            return Err(RefreshError::Reused(Box::new(self.clone().revoke(now))));
        }
        let scopes = requested.unwrap_or(self.scopes);
        if !self.scopes.contains(scopes) {
            return Err(RefreshError::Scope);
        }
        if in_grace {
            return Ok(Rotated { family: None, token: self.token(&key, self.generation), scopes });
        }
        let family = Self {
            generation: self.generation + 1,
            rotated: now,
            idle_until: later(now, self.idle).min(self.expires),
            ..self.clone()
        };
        let token = family.token(&key, family.generation);
        Ok(Rotated { family: Some(family), token, scopes })
    }

    /// The family, revoked. An earlier revocation stays.
    #[must_use]
    pub fn revoke(mut self, now: Timestamp) -> Self {
        self.revoked.get_or_insert(now);
        self
    }

    /// Whether its secret opens: sealed by this ring, for this tenant and family.
    #[must_use]
    pub fn opens(&self, tenant: TenantId, ring: &KeyRing) -> bool {
        self.key(tenant, ring).is_some()
    }

    fn key(&self, tenant: TenantId, ring: &KeyRing) -> Option<hmac::Key> {
        let mut sealed = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(&self.sealed_secret).ok()?);
        ring.open_in_place(&purpose(tenant, self.id), &mut sealed).map(|secret| mac_key(secret))
    }

    /// Whether `presented` is a token that this family has given out.
    fn made(&self, key: &hmac::Key, presented: &PresentedToken) -> bool {
        let genuine = constant_time_eq(&presented.mac, self.mac(key, presented.generation).as_ref());
        genuine
            && presented.family == self.id
            && presented.user == self.sign_in.user
            && (1..=self.generation).contains(&presented.generation)
    }

    fn token(&self, key: &hmac::Key, generation: u64) -> Secret {
        let (user, mac) = (self.sign_in.user.as_bytes(), self.mac(key, generation));
        let token = [self.id.0.as_slice(), user, &generation.to_be_bytes(), mac.as_ref()].concat();
        Secret::new(BASE64_URL_SAFE_NO_PAD.encode(token))
    }

    fn mac(&self, key: &hmac::Key, generation: u64) -> hmac::Tag {
        let user = self.sign_in.user.as_bytes();
        hmac::sign(key, &[b"refresh".as_slice(), &self.id.0, user, &generation.to_be_bytes()].concat())
    }
}

fn mac_key(secret: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}

fn purpose(tenant: TenantId, family: GrantId) -> Vec<u8> {
    [b"refresh family".as_slice(), tenant.as_bytes(), &family.0].concat()
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
