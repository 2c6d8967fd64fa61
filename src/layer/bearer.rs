//! Access tokens in the `Authorization` header: verified once, then remembered.

use std::{
    hash::{BuildHasher, DefaultHasher, Hasher, RandomState},
    sync::Arc,
};

use http::{HeaderMap, header::AUTHORIZATION};
use jiff::Timestamp;

use super::guest::{Guest, Profile};
use crate::{
    decision::Grant,
    domain::{AppId, TenantId, user::UserType},
    oidc::{
        AccessClaims, IdClaims, PublicKeys, TokenError,
        jose::{MAX_LEEWAY, MAX_TOKEN},
        token::{PersonClaims, Resource, verify_access},
    },
};

/// How many tokens are remembered.
const CAPACITY: usize = 4_096;

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

/// Verifies access tokens for one app, and remembers those that were verified.
///
/// The key is the whole token, so nobody gets in on half of somebody else's (checklist H-15). What is remembered is only that
/// the token was genuine: whether it has expired, was revoked or is behind on terms is decided anew on every request. A
/// change of the issuer's keys makes it forget.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    app: AppId,
    remembered: Arc<papaya::HashMap<Box<str>, Remembered, ByItsEnd>>,
}

#[derive(Debug)]
struct Remembered {
    guest: Guest,
    keys: Arc<PublicKeys>,
}

/// Hashes tokens by their last bytes: the signature, which tells genuine tokens apart as well as all of it. Equality is still
/// that of whole tokens.
#[derive(Clone, Debug, Default)]
struct ByItsEnd(RandomState);

struct EndHasher(DefaultHasher);

impl BuildHasher for ByItsEnd {
    type Hasher = EndHasher;

    fn build_hasher(&self) -> EndHasher {
        EndHasher(self.0.build_hasher())
    }
}

impl Hasher for EndHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(&bytes[bytes.len().saturating_sub(48)..]);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
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
        let remembered = self.remembered.pin();
        if let Some(known) = remembered.get(token)
            && Arc::ptr_eq(&known.keys, keys)
        {
            return Ok(known.guest.clone());
        }
        let claims = verify_access(keys, token, Resource::App(self.app), now, MAX_LEEWAY)?;
        let guest = of_access(claims.claims(), self.app).ok_or(TokenError::Malformed)?;
        if remembered.len() >= CAPACITY {
            remembered.retain(|_, known| known.guest.as_ref().expires > now && Arc::ptr_eq(&known.keys, keys));
        }
        if remembered.len() >= CAPACITY {
            // All of them are good. To be verified once more costs microseconds; to grow without end costs the process.
            remembered.clear();
        }
        remembered.insert(token.into(), Remembered { guest: guest.clone(), keys: Arc::clone(keys) });
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
