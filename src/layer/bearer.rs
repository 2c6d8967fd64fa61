//! Access tokens in the `Authorization` header: verified once, then remembered.

use std::sync::Arc;

use http::{HeaderMap, header::AUTHORIZATION};
use jiff::Timestamp;

use super::{
    guest::{Guest, Profile},
    remembered::Remembered,
};
use crate::{
    decision::Grant,
    domain::{AppId, TenantId, user::UserType},
    oidc::{
        AccessClaims, IdClaims, PublicKeys, TokenError,
        jose::{MAX_LEEWAY, MAX_TOKEN},
        token::{PersonClaims, Resource, verify_access},
    },
};

/// What the `Authorization` header of a request holds for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presented<'a> {
    /// Nothing, or another scheme's credentials, which are the app's business.
    Nothing,
    /// A Bearer token (RFC 6750 section 2.1). Tokens anywhere else, such as in the query, do not count (checklist S-45).
    Token(&'a str),
    /// More than one header, or one that no token could be in.
    Unreadable,
}

/// Finds the token in a request's headers.
pub(super) fn presented(headers: &HeaderMap) -> Presented<'_> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), more) = (fields.next(), fields.next()) else { return Presented::Nothing };
    let is_bearer = |field: &[u8]| field.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
    if more.is_some() {
        let ours = headers.get_all(AUTHORIZATION).iter().any(|field| is_bearer(field.as_bytes()));
        return if ours { Presented::Unreadable } else { Presented::Nothing };
    }
    if !is_bearer(field.as_bytes()) {
        return Presented::Nothing;
    }
    match field.to_str().map(|field| field[7..].trim_matches(' ')) {
        Ok(token) if !token.is_empty() && token.len() <= MAX_TOKEN => Presented::Token(token),
        _ => Presented::Unreadable,
    }
}

/// Verifies access tokens for one app, once each. A change of the issuer's keys makes it verify again.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    app: AppId,
    remembered: Arc<Remembered<Arc<PublicKeys>>>,
}

impl Bearer {
    pub(super) fn new(app: AppId) -> Self {
        Self { app, remembered: Arc::default() }
    }

    /// The guest that a token stands for.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub(super) fn guest(&self, token: &str, keys: &Arc<PublicKeys>, now: Timestamp) -> Result<Guest, TokenError> {
        if let Some(guest) = self.remembered.find(token.as_bytes(), |known| Arc::ptr_eq(known, keys)) {
            return Ok(guest);
        }
        let claims = verify_access(keys, token, Resource::App(self.app), now, MAX_LEEWAY)?;
        let guest = of_access(claims.claims(), self.app).ok_or(TokenError::Malformed)?;
        self.remembered.insert(token.as_bytes(), guest.clone(), Arc::clone(keys), now);
        Ok(guest)
    }
}

/// The guest of an access token. Its time is the token's own.
fn of_access(claims: &AccessClaims, app: AppId) -> Option<Guest> {
    of_person(&claims.person, &claims.sub, claims.tid, app, claims.exp)
}

/// The guest of an ID token: a session of the app, which lasts as long as the provider's.
pub(super) fn of_id(claims: &IdClaims) -> Option<Guest> {
    of_person(&claims.person, &claims.sub, claims.tid, claims.aud, claims.person.session_expiry)
}

fn of_person(person: &PersonClaims, subject: &str, tenant: TenantId, app: AppId, expires: i64) -> Option<Guest> {
    let second = |seconds| Timestamp::from_second(seconds).ok();
    let grant = Grant {
        tenant,
        app,
        user: person.oid,
        session: person.sid,
        began: Timestamp::from_millisecond(person.vb_began).ok()?,
        auth_time: second(person.auth_time)?,
        expires: second(expires)?,
        terms_epoch: person.vb_epoch,
    };
    let user_type = if person.acct == 1 { UserType::Guest } else { UserType::Member };
    let (name, email) = (person.name.as_deref().unwrap_or_default(), person.email.as_deref().unwrap_or_default());
    let verified = person.email_verified == Some(true);
    Some(Guest::new(grant, Profile::new(subject, name, email, verified, user_type)?))
}
