//! How many invitations are mailed to one address, whatever they are mailed for: a first invitation, another link, a new proof,
//! the note to somebody else. And how many one person makes, mailed or not.
//!
//! They are counted in the commit that makes the invitation and queues the mail. Nobody keeps the operator from anything.

use jiff::{SignedDuration, Timestamp};

use super::{Administration, Changes};
use crate::{
    domain::{EmailAddress, audit::Actor},
    error::Code,
    identity::{Allowance, Attempts, Counter, Purpose},
    store::StoreError,
};

/// What people, and who asks for an invitation once more, may have mailed to one address, all of them together. Less than
/// [`BY_APPS`]: whatever they do, an administrator can still invite.
const BY_PEOPLE: Allowance = Allowance { gap: SignedDuration::ZERO, an_hour: 5, a_day: 10 };
/// What may be mailed to one address in all.
const BY_APPS: Allowance = Allowance { gap: SignedDuration::ZERO, an_hour: 10, a_day: 20 };
/// Invitations of one person, and notes to somebody else, to whomever.
const BY_ONE: Allowance = Allowance { gap: SignedDuration::ZERO, an_hour: 30, a_day: 100 };

impl Administration<'_> {
    /// Counts an invitation of who acts, and a mail to each of `addresses`.
    ///
    /// # Errors
    /// [`Code::TooManyMails`]; the store's failure.
    pub(super) async fn count(&self, changes: &mut Changes, addresses: &[&EmailAddress], now: Timestamp) -> Result<(), Code> {
        let (tenant, ring) = (self.tenant(), &self.foundation.ring);
        let to_one_address = match self.actor {
            Actor::Operator => return Ok(()),
            Actor::App(_) => BY_APPS,
            Actor::User(_) | Actor::Server => BY_PEOPLE,
        };
        let addressees = addresses.iter().map(|address| {
            let key = Attempts::key(ring, tenant, Purpose::Mail, address.as_str().as_bytes());
            (key, to_one_address)
        });
        let inviter = match self.actor {
            Actor::User(user) => Some((Attempts::key(ring, tenant, Purpose::Inviter, user.as_bytes()), BY_ONE)),
            _ => None,
        };
        let inviter = inviter.into_iter().flat_map(|inviter| std::iter::repeat_n(inviter, addresses.len().max(1)));
        let mut counters: Vec<Counter> = Vec::new();
        for (key, allowance) in addressees.chain(inviter) {
            // Two addresses may share a place, and what is written twice is read once.
            let at = match counters.iter().position(|counter| counter.key.key() == key.key()) {
                Some(at) => at,
                None => {
                    let read = self.foundation.store.get(&key).await.map_err(StoreError::refusal)?;
                    counters.push(Counter::of(key, read));
                    counters.len() - 1
                }
            };
            if !counters[at].after.take(now, allowance) {
                return Err(Code::TooManyMails);
            }
        }
        for counter in counters {
            changes.write(|batch| counter.write(batch, now));
        }
        Ok(())
    }
}
