//! What administrators do to and for guests: invite, change, block, delete, restore, assign. Programs, the command line and
//! pages come here with typed values; who may ask for what by which permission is theirs to know.
//!
//! Every act reads the end of the audit log first and the facts after it, decides, and commits its changes with their audit
//! entries in one batch (checklist W-03). The batch appends to that same end, and all other changes of the directory do so,
//! too: nothing of what was decided on can have changed when it goes through. An act that lost such a race is decided anew;
//! those of one process wait for each other instead ([`Lanes`](super::Lanes)).

mod addresses;
mod assignments;
mod barred;
mod belongings;
mod change;
pub mod find;
mod invitations;
mod invite;
mod lifecycle;
mod mail_limits;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

pub use change::{Change, ProfileChange};
pub use invite::{Invite, Invited, Message, Outcome, Posted, Purpose, may_invite};

pub(super) use addresses::Addresses;
pub(super) use barred::{is_barred, marks_of_deleted, marks_of_proof, may_let_in};
pub(super) use change::told;

use super::{Foundation, Turn, audited, cut_off, directory::TenantView};
use crate::{
    domain::{
        TenantId, UserId,
        audit::{Actor, Head, Told},
        is_plain,
        user::User,
    },
    error::Code,
    mail::{Outbox, Sender},
    store::{
        Batch, Partition, Races, StoreError, Version,
        records::{self, Store, Stored},
    },
};

/// The longest display name, in characters (b2b-facts section 12).
pub const NAME_MAX: usize = 256;
/// The longest text of every other property, in characters.
pub const TEXT_MAX: usize = 64;
/// The most other addresses, phones and sponsors of a user, each.
pub const LIST_MAX: usize = 50;

/// Somebody at work in a tenant's directory.
#[derive(Clone, Copy)]
pub struct Administration<'a> {
    /// The store, time and randomness.
    pub foundation: &'a Foundation,
    /// The tenant.
    pub view: &'a TenantView,
    /// Who acts. What they may do was checked before, but for inviting: that is the tenant's policy.
    pub actor: &'a Actor,
    /// Who mails are from.
    pub sender: &'a Sender,
}

impl std::fmt::Debug for Administration<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Administration").field("tenant", &self.tenant()).field("actor", self.actor).finish_non_exhaustive()
    }
}

impl Administration<'_> {
    fn tenant(&self) -> TenantId {
        self.view.tenant.id
    }

    fn outbox(&self) -> Outbox {
        let Foundation { ring, clock, entropy, .. } = self.foundation.clone();
        Outbox::new(ring, clock, entropy)
    }

    /// A user who is there, and is as the caller read them.
    async fn user(&self, id: UserId, expected: Option<Version>) -> Result<Stored<User>, Code> {
        let found = self.foundation.store.get(&records::user(self.tenant(), id)).await.map_err(StoreError::refusal)?;
        let found = found.ok_or(Code::ObjectUnknown)?;
        match expected {
            Some(expected) if expected != found.version => Err(Code::VersionOutdated),
            _ => Ok(found),
        }
    }
}

/// One act, from its turn to its commit: `loop { read from a moment on, decide; if commit { break } }`.
struct Act<'a> {
    administration: Administration<'a>,
    races: Races,
    _turn: Turn,
}

/// From when on the facts of a decision were read.
struct Moment {
    now: Timestamp,
    head: Option<Stored<Head>>,
}

/// What an act changes, as it grows.
struct Changes {
    batch: Batch,
    told: Vec<Told>,
}

impl<'a> Act<'a> {
    /// Waits for a turn.
    async fn begin(administration: Administration<'a>) -> Self {
        let turn = administration.foundation.lanes.turn(administration.tenant()).await;
        Self { administration, races: Races::default(), _turn: turn }
    }

    /// To be called before anything is read.
    async fn moment(&self) -> Result<Moment, Code> {
        let Administration { foundation, .. } = self.administration;
        let head = foundation.audit_head(self.administration.tenant()).await.map_err(StoreError::refusal)?;
        Ok(Moment { now: foundation.now(), head })
    }

    /// Whether it went through; if not, it is to be decided anew. Where there is nothing to tell of there is nothing to change.
    async fn commit(&mut self, moment: &Moment, changes: Changes) -> Result<bool, Code> {
        if changes.told.is_empty() {
            return Ok(true);
        }
        let Administration { foundation, actor, .. } = self.administration;
        let tenant = self.administration.tenant();
        let batch = audited(changes.batch, tenant, moment.head.as_ref(), moment.now, actor, changes.told);
        self.races.won(foundation.store.commit(batch).await).map_err(StoreError::refusal)
    }
}

impl Changes {
    fn of(tenant: TenantId) -> Self {
        Self { batch: Batch::new(Partition::Tenant(tenant)), told: Vec::new() }
    }

    /// Goes on building the batch.
    fn write(&mut self, build: impl FnOnce(Batch) -> Batch) {
        let empty = Batch::new(self.batch.partition());
        self.batch = build(std::mem::replace(&mut self.batch, empty));
    }

    fn tell(&mut self, told: impl Into<Told>) {
        self.told.push(told.into());
    }

    /// Tells every door from when on the user's sessions count, and whether the user may sign in at all.
    fn cut_off(&mut self, tenant: TenantId, user: &User, blocked: bool, now: Timestamp) {
        self.write(|batch| cut_off(batch, tenant, user, blocked, now));
    }

    /// Has the identity that a user is bound to lead to them no more.
    async fn unlink(&mut self, store: &Store, tenant: TenantId, user: &User) -> Result<(), StoreError> {
        let Some(identity) = user.identity() else { return Ok(()) };
        let key = records::identity(tenant, identity);
        let index = store.get(&key).await?;
        if index.as_ref().is_some_and(|index| index.value.user == user.id) {
            self.write(|batch| batch.unchanged(&key, index.as_ref()).delete(&key));
        }
        Ok(())
    }

    /// Puts the user, who was as `stored`.
    fn put_user(&mut self, tenant: TenantId, stored: Option<&Stored<User>>, user: &User) {
        let key = records::user(tenant, user.id);
        self.write(|batch| batch.unchanged(&key, stored).put(&key, user));
    }
}

/// A text of at most so many characters that [`is_plain`].
///
/// # Errors
/// [`Code::PropertyInvalid`].
pub fn check_text(text: &str, most: usize) -> Result<(), Code> {
    let fits = (1..=most).contains(&text.chars().count()) && is_plain(text);
    if fits { Ok(()) } else { Err(Code::PropertyInvalid) }
}

/// The name of a role in an app. Apps are told several in one line, with commas between them.
///
/// # Errors
/// [`Code::PropertyInvalid`].
pub fn check_role(role: &str) -> Result<(), Code> {
    if role.contains(',') { Err(Code::PropertyInvalid) } else { check_text(role, TEXT_MAX) }
}
