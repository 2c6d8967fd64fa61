//! How many invitations are mailed to one address, and by one person, whatever they are mailed for: a first invitation, another
//! link, a new proof, the note to somebody else.
//!
//! They are counted in the commit that queues the mail. Invitations without a mail are not counted, and nobody keeps the
//! operator from anything.

use jiff::{SignedDuration, Timestamp};

use super::{Administration, Changes};
use crate::{
    domain::{EmailAddress, audit::Actor},
    error::Code,
    identity::{Allowance, Attempts, Purpose},
    store::{
        StoreError,
        records::{RecordKey, Stored},
    },
};

/// What people, and who asks for an invitation once more, may have mailed to one address, all of them together. Less than
/// [`BY_APPS`]: whatever they do, an administrator can still invite.
const BY_PEOPLE: Allowance = Allowance { gap: SignedDuration::ZERO, an_hour: 5, a_day: 10 };
/// What may be mailed to one address in all.
const BY_APPS: Allowance = Allowance { gap: SignedDuration::ZERO, an_hour: 10, a_day: 20 };
/// What one person may have mailed, to whomever.
const BY_ONE: Allowance = Allowance { gap: SignedDuration::ZERO, an_hour: 30, a_day: 100 };

/// A counter, as it was read and as it will be.
struct Counter {
    key: RecordKey<Attempts>,
    read: Option<Stored<Attempts>>,
    after: Attempts,
}

impl Administration<'_> {
    /// Counts a mail to each of `addresses`.
    ///
    /// # Errors
    /// [`Code::TooManyMails`]; the store's failure.
    pub(super) async fn count_mails<'a>(
        &self,
        changes: &mut Changes,
        addresses: impl Iterator<Item = &'a EmailAddress>,
        now: Timestamp,
    ) -> Result<(), Code> {
        let (tenant, ring) = (self.tenant(), &self.foundation.ring);
        let to_one_address = match self.actor {
            Actor::Operator => return Ok(()),
            Actor::App(_) => BY_APPS,
            Actor::User(_) | Actor::Server => BY_PEOPLE,
        };
        let mut counters: Vec<Counter> = Vec::new();
        for address in addresses {
            let addressee = Attempts::key(ring, tenant, Purpose::Mail, address.as_str().as_bytes());
            let inviter = match self.actor {
                Actor::User(user) => Some(Attempts::key(ring, tenant, Purpose::Inviter, user.as_bytes())),
                _ => None,
            };
            for (key, allowance) in std::iter::once((addressee, to_one_address)).chain(inviter.map(|key| (key, BY_ONE))) {
                let at = match counters.iter().position(|counter| counter.key.key() == key.key()) {
                    Some(at) => at,
                    None => {
                        let read = self.foundation.store.get(&key).await.map_err(StoreError::refusal)?;
                        let after = read.as_ref().map(|read| read.value.clone()).unwrap_or_default();
                        counters.push(Counter { key, read, after });
                        counters.len() - 1
                    }
                };
                if !counters[at].after.send(now, allowance) {
                    return Err(Code::TooManyMails);
                }
            }
        }
        for Counter { key, read, after } in counters {
            changes.write(|batch| batch.unchanged(&key, read.as_ref()).put_until(&key, &after, Some(Attempts::forget_at(now))));
        }
        Ok(())
    }
}
