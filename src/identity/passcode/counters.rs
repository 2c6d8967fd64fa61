//! What is counted against an address: by how somebody came to it, and in all.
//!
//! Whoever has the link of an invitation is counted by its guest: strangers, who can use up the codes of an address that they
//! know, and have it wait by wrong guesses, do not keep its holder out (checklist O-05). A new invitation is no new count, and
//! what many guests of one address have together is limited, too: whoever may invite has the links of those they invite.

use jiff::{SignedDuration, Timestamp};

use crate::{
    domain::{EmailAddress, TenantId, UserId},
    identity::attempts::{Allowance, Attempts, Counter, FOR_ANYBODY, Purpose},
    seal::KeyRing,
    store::{
        Batch, Entry, Key, StoreError,
        records::{RecordKey, take},
    },
};

/// Codes sent to one address in all: twice what strangers have.
const ALL_CODES: Allowance = Allowance { gap: SignedDuration::ZERO, an_hour: 20, a_day: 20 };
/// Guesses at the codes of one address in all, for who has a link to it.
const ALL_GUESSES: Allowance = Allowance { gap: SignedDuration::ZERO, an_hour: 60, a_day: 60 };
/// The same for strangers, who leave some to them.
const STRANGERS_GUESSES: Allowance = Allowance { gap: SignedDuration::ZERO, an_hour: 50, a_day: 50 };

/// Where it is counted.
pub(super) struct CounterKeys {
    own: RecordKey<Attempts>,
    codes: RecordKey<Attempts>,
    guesses: RecordKey<Attempts>,
    /// What is left of the guesses in all for who asks.
    allowed: Allowance,
}

/// What was counted.
#[derive(Debug)]
pub(super) struct Counters {
    own: Counter,
    codes: Counter,
    guesses: Counter,
    allowed: Allowance,
}

impl CounterKeys {
    /// Of an address, for somebody who may have opened the link of this guest's invitation to it.
    pub(super) fn new(ring: &KeyRing, tenant: TenantId, address: &EmailAddress, invited: Option<UserId>) -> Self {
        let address = address.as_str().as_bytes();
        // No address has a zero in it.
        let subject = invited.map_or_else(|| address.to_vec(), |id| [address, b"\0", id.as_bytes()].concat());
        Self {
            own: Attempts::key(ring, tenant, Purpose::Passcode, &subject),
            codes: Attempts::key(ring, tenant, Purpose::AllCodes, address),
            guesses: Attempts::key(ring, tenant, Purpose::AllGuesses, address),
            allowed: if invited.is_some() { ALL_GUESSES } else { STRANGERS_GUESSES },
        }
    }

    /// What has to be read for [`take`](Self::take).
    pub(super) fn keys(&self) -> [&Key; 3] {
        [self.own.key(), self.codes.key(), self.guesses.key()]
    }

    /// What was read.
    pub(super) fn take(&self, entries: &mut impl Iterator<Item = Option<Entry>>) -> Result<Counters, StoreError> {
        Ok(Counters {
            own: Counter::of(self.own.clone(), take(entries)?),
            codes: Counter::of(self.codes.clone(), take(entries)?),
            guesses: Counter::of(self.guesses.clone(), take(entries)?),
            allowed: self.allowed,
        })
    }
}

impl Counters {
    /// Counts a code that is to be sent now; `false` when there were too many, or it could not be used. Who has a code that no
    /// longer works does not wait for the next one.
    #[must_use]
    pub(super) fn send(&mut self, now: Timestamp, dead: bool) -> bool {
        let gap = if dead { SignedDuration::ZERO } else { FOR_ANYBODY.gap };
        self.guesses.after.has_left(now, self.allowed)
            && self.own.after.take(now, Allowance { gap, ..FOR_ANYBODY })
            && self.codes.after.take(now, ALL_CODES)
    }

    /// Writes that a code was sent.
    pub(super) fn write_sent(&self, batch: Batch, now: Timestamp) -> Batch {
        self.codes.write(self.own.write(batch, now), now)
    }

    /// Whether no guess is looked at for now.
    pub(super) fn are_used_up(&self, now: Timestamp) -> bool {
        self.own.after.locked(now) || !self.guesses.after.has_left(now, self.allowed)
    }

    /// Counts a guess, and writes that; a right one is forgiven, and with it the code.
    pub(super) fn write_guess(&mut self, batch: Batch, right: bool, now: Timestamp) -> Batch {
        // Counted first, so that a right answer forgives this guess, too.
        self.own.after.guess(now);
        if right {
            self.own.after.forgive();
            self.codes.after.give_back();
            return self.write_sent(batch, now);
        }
        // There was one left, or nobody would be here.
        let _counted = self.guesses.after.take(now, self.allowed);
        self.guesses.write(self.own.write(batch, now), now)
    }
}
