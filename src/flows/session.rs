//! A session at the provider: sealed in the browser, checked without the store, ended everywhere by the live feed.
//!
//! The store holds what *happened* to sessions (ends, cut-offs), not the sessions: nobody can grow it by signing in.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Foundation, audited, journey::Proof};
use crate::{
    domain::{
        SessionId, TenantId, UserId, VerifiedEmail,
        audit::{Activity, Actor},
        tenant::{IdentitySource, Tenant},
        user::User,
    },
    live::{Live, SessionStanding},
    secret::constant_time_eq,
    store::{
        Batch, Partition, Races, StoreError,
        records::{self, SessionEnd, take},
    },
};

/// A session of one person with one tenant in one browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// With which tenant.
    pub tenant: TenantId,
    /// Who.
    pub user: UserId,
    /// Which one: the `sid` of tokens.
    pub id: SessionId,
    /// Since when.
    pub began: Timestamp,
    /// When the person authenticated, wherever that was.
    pub auth_time: Timestamp,
    /// Until when at most.
    pub expires: Timestamp,
    /// How the person signed in.
    pub source: IdentitySource,
    /// At which issuer.
    pub issuer: String,
    /// How, in the words of RFC 8176.
    pub amr: Vec<String>,
    /// The address that was verified when signing in.
    pub email: Option<VerifiedEmail>,
}

/// How long a session that began with a passcode lasts at most (b2b-facts section 3: 24 hours).
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

impl Session {
    /// The session that a proof becomes: the same each time.
    #[must_use]
    pub fn of(tenant: &Tenant, user: UserId, proof: &Proof) -> Self {
        let Proof { identity: proof, at, session } = proof;
        let hours = SignedDuration::from_hours(i64::from(tenant.policy.session_hours)).min(LONGEST);
        Self {
            tenant: tenant.id,
            user,
            id: *session,
            began: *at,
            auth_time: proof.auth_time,
            expires: at.saturating_add(hours).unwrap_or(*at),
            source: proof.source,
            issuer: proof.identity.issuer.clone(),
            amr: proof.amr.clone(),
            email: proof.email.clone(),
        }
    }

    /// What the account in use is called, to its person: by the address that was proven with it, which may be another than the
    /// invited one of `user`; without any, as the user is known.
    #[must_use]
    pub fn account(&self, user: &User) -> String {
        let address = self.email.as_ref().map(VerifiedEmail::address).or(user.mail.as_ref());
        address.map_or_else(|| user.display_name.clone(), ToString::to_string)
    }

    /// The session as the value of its cookie.
    #[must_use]
    pub fn seal(&self, foundation: &Foundation) -> String {
        foundation.ring.seal(&purpose(self.tenant), self, &*foundation.entropy)
    }

    /// Reads a cookie; only a session of this tenant that has not expired and not been ended.
    #[must_use]
    pub fn open(value: &[u8], tenant: TenantId, live: &impl Live, foundation: &Foundation) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let session: Self = foundation.ring.open(&purpose(tenant), text)?;
        (session.tenant == tenant && session.is_alive(live, foundation.now())).then_some(session)
    }

    /// Whether it has neither expired nor been ended.
    #[must_use]
    pub fn is_alive(&self, live: &impl Live, now: Timestamp) -> bool {
        self.expires > now && live.session(self.tenant, self.user, self.id, self.began) == SessionStanding::Valid
    }

    /// Whole seconds until it expires, for the cookie.
    #[must_use]
    pub fn seconds_left(&self, now: Timestamp) -> u64 {
        u64::try_from(self.expires.as_second().saturating_sub(now.as_second())).unwrap_or_default()
    }
}

/// The token of forms that belong to a session and to no journey, such as signing out.
#[must_use]
pub fn form_token(foundation: &Foundation, session: Option<&Session>) -> String {
    let Some(session) = session else { return String::new() };
    BASE64_URL_SAFE_NO_PAD.encode(foundation.ring.keyed_hash("session form", session.id.as_bytes()))
}

/// Whether a form carried the token.
#[must_use]
pub fn is_form_token(foundation: &Foundation, session: Option<&Session>, token: &str) -> bool {
    session.is_some() && constant_time_eq(form_token(foundation, session).as_bytes(), token.as_bytes())
}

fn purpose(tenant: TenantId) -> Vec<u8> {
    [b"session".as_slice(), tenant.as_bytes()].concat()
}

/// Ends a session everywhere, with the refresh tokens that it gave. Ending it twice is the same.
///
/// # Errors
/// When the store is unavailable: then the session has *not* ended and the caller must say so (checklist G-15).
pub async fn end(foundation: &Foundation, session: &Session) -> Result<(), StoreError> {
    end_because(foundation, session, Activity::SignedOut { user: session.user }).await
}

/// Ends a session everywhere, and says in the audit log why.
///
/// # Errors
/// When the store is unavailable.
pub async fn end_because(foundation: &Foundation, session: &Session, why: Activity) -> Result<(), StoreError> {
    let key = records::session_end(session.tenant, session.id);
    let mut races = Races::default();
    loop {
        let now = foundation.now();
        let keys = [key.key().clone(), records::audit_head(session.tenant).key().clone()];
        let mut entries = foundation.store.entries(&keys).await?.into_iter();
        if entries.next().flatten().is_some() {
            return Ok(());
        }
        let head = take(&mut entries)?;
        let mut batch = Batch::new(Partition::Tenant(session.tenant));
        for of_session in foundation.store.list(&records::session_families(session.tenant, session.id)).await? {
            let family = of_session.value.family;
            batch = batch
                .delete(&records::session_family(session.tenant, session.id, family))
                .delete(&records::refresh_family(session.tenant, family));
        }
        // Access tokens and app sessions live no longer than the session they came from.
        let forget = session.expires.saturating_add(SignedDuration::from_hours(1)).unwrap_or(session.expires);
        let end = SessionEnd { session: session.id, at: now, forget };
        batch = batch.absent(&key).put_until(&key, &end, Some(forget));
        let actor = Actor::User(session.user);
        let batch = audited(batch, session.tenant, head.as_ref(), now, &actor, [why.clone()]);
        if races.won(foundation.store.commit(batch).await)? {
            return Ok(());
        }
    }
}
