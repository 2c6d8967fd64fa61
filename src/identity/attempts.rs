//! What is counted against an address: codes and invitations sent, and guesses. And against a person: invitations.
//!
//! An address that somebody types need not be anybody's, so what is stored must not grow with what is typed: counters sit
//! in 2^20 places a tenant and kind, picked by a keyed hash. Two addresses that share a place share its limits, which
//! nobody outside can bring about on purpose; a count is never wrong in the guesser's favour.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    domain::TenantId,
    seal::KeyRing,
    store::{
        Batch,
        records::{RecordKey, Stored, kind},
    },
};

/// How often a commit that lost a race is decided and tried again.
pub(super) const RETRIES: usize = 16;

/// How often something may be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// The least time between two.
    pub(crate) gap: SignedDuration,
    /// At most so many in an hour.
    pub(crate) an_hour: usize,
    /// At most so many in 24 hours.
    pub(crate) a_day: usize,
}

/// What is sent to one address because somebody asks for it who has proven nothing.
pub(super) const FOR_ANYBODY: Allowance = Allowance { gap: SignedDuration::from_secs(30), an_hour: 5, a_day: 10 };
/// After so many failures in a row, and again after as many more, the address has to wait.
const FAILURES_A_LOCK: u32 = 15;
/// How long the first wait is; each further one is twice as long, up to the last.
const FIRST_LOCK: SignedDuration = SignedDuration::from_mins(15);
const LONGEST_LOCK: SignedDuration = SignedDuration::from_hours(24);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// A counter that nothing was added to for so long is forgotten. Longer than anything it remembers.
const FORGET: SignedDuration = SignedDuration::from_hours(48);

/// What is counted. The discriminant is part of stored keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Codes sent to an address, and guesses at them.
    Passcode = 1,
    /// Guesses at the password of an address.
    Password = 2,
    /// That somebody asked to have the invitations of an address sent again.
    Invitation = 3,
    /// Invitations mailed to an address.
    Mail = 4,
    /// Invitations of a person.
    Inviter = 5,
    /// Codes sent to an address, whoever asked for them.
    AllCodes = 6,
    /// Guesses at the codes of an address, whoever made them.
    AllGuesses = 7,
}

/// The counters of one address or person (or of the few that share its place).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempts {
    /// When something was sent, or else taken of an allowance, in the last 24 hours; at most as many as may be.
    #[serde(default)]
    sent: Vec<Timestamp>,
    /// Wrong guesses since the last right one.
    #[serde(default)]
    failures: u32,
    /// Until when no guess is looked at. Always an end in sight: nobody may lock somebody else out for good.
    #[serde(default)]
    locked_until: Option<Timestamp>,
}

impl Attempts {
    /// The record of a `subject`: an address, or a user's id.
    pub(crate) fn key(ring: &KeyRing, tenant: TenantId, purpose: Purpose, subject: &[u8]) -> RecordKey<Self> {
        let hash = ring.keyed_hash("attempts", &[tenant.as_bytes(), subject].concat());
        let place = [hash[0] & 0x0f, hash[1], hash[2]];
        RecordKey::in_tenant(tenant, kind::COUNTER, &[&[purpose as u8], &place])
    }

    /// When the record may be forgotten, if it is written now.
    pub(crate) fn forget_at(now: Timestamp) -> Timestamp {
        now.saturating_add(FORGET).unwrap_or(Timestamp::MAX)
    }

    /// Whether guesses are not looked at for now.
    pub(super) fn locked(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    /// Counts a guess as wrong, which it is until [`forgive`](Self::forgive) says otherwise: before it is looked at.
    pub(super) fn guess(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        if self.failures.is_multiple_of(FAILURES_A_LOCK) {
            let doublings = (self.failures / FAILURES_A_LOCK - 1).min(16);
            let wait = (FIRST_LOCK * (1 << doublings)).min(LONGEST_LOCK);
            self.locked_until = now.saturating_add(wait).ok();
        }
    }

    /// The guess was right: all is forgiven, except codes sent.
    pub(super) fn forgive(&mut self) {
        self.failures = 0;
        self.locked_until = None;
        // A code that was used is not held against its owner, who may well need the next one at once.
        self.give_back();
    }

    /// Takes back what was counted last.
    pub(super) fn give_back(&mut self) {
        self.sent.pop();
    }

    /// Whether one more may be done now.
    pub(super) fn has_left(&self, now: Timestamp, allowance: Allowance) -> bool {
        // A clock that was set back makes earlier ones count as just now, never as long ago.
        let within = |span: SignedDuration| move |at: &&Timestamp| now.duration_since(**at) < span;
        let count = |span| self.sent.iter().filter(within(span)).count();
        !self.locked(now)
            && count(allowance.gap) == 0
            && count(SignedDuration::from_hours(1)) < allowance.an_hour
            && count(DAY) < allowance.a_day
    }

    /// Counts something that is to be done now; `false`, and nothing counted, when there were too many.
    #[must_use]
    pub(crate) fn take(&mut self, now: Timestamp, allowance: Allowance) -> bool {
        if !self.has_left(now, allowance) {
            return false;
        }
        self.sent.retain(|at| now.duration_since(*at) < DAY);
        self.sent.push(now);
        true
    }
}

/// A counter as it was read, and as it will be.
#[derive(Debug)]
pub(crate) struct Counter {
    pub(crate) key: RecordKey<Attempts>,
    read: Option<Stored<Attempts>>,
    pub(crate) after: Attempts,
}

impl Counter {
    /// A counter as it was read.
    pub(crate) fn of(key: RecordKey<Attempts>, read: Option<Stored<Attempts>>) -> Self {
        let after = read.as_ref().map(|read| read.value.clone()).unwrap_or_default();
        Self { key, read, after }
    }

    /// Writes it as it will be, where nobody else has written it since.
    pub(crate) fn write(&self, batch: Batch, now: Timestamp) -> Batch {
        let batch = batch.unchanged(&self.key, self.read.as_ref());
        batch.put_until(&self.key, &self.after, Some(Attempts::forget_at(now)))
    }
}

/// A clock of ours in the form that rate limiters in memory take.
#[derive(Clone)]
pub(crate) struct LimiterClock(pub(crate) std::sync::Arc<dyn crate::clock::Clock>);

impl governor::clock::Clock for LimiterClock {
    type Instant = governor::nanos::Nanos;

    fn now(&self) -> Self::Instant {
        let since = self.0.now().duration_since(Timestamp::UNIX_EPOCH);
        Duration::try_from(since).unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededEntropy;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// O-04: 1 in 30 s, 5 in an hour, 10 in a day.
    #[test]
    fn o_04_sends_to_an_address_are_limited() {
        let mut attempts = Attempts::default();
        let sent: Vec<_> = (0..86_400 + 3600).filter(|second| attempts.take(at(*second), FOR_ANYBODY)).collect();
        assert_eq!(sent[..5], [0, 30, 60, 90, 120]);
        assert_eq!(sent[5..10], [3600, 3630, 3660, 3690, 3720]);
        assert_eq!(sent[10], 86_400, "then not before a day has passed");
        assert!(attempts.sent.len() <= FOR_ANYBODY.a_day);
    }

    #[test]
    fn a_clock_set_back_earns_no_codes() {
        let mut attempts = Attempts::default();
        assert!(attempts.take(at(10_000), FOR_ANYBODY));
        assert!(!attempts.take(at(0), FOR_ANYBODY) && !attempts.take(at(9_999), FOR_ANYBODY));
        assert!(attempts.take(at(10_030), FOR_ANYBODY));
    }

    /// O-05: waits get longer, have an end, and a right guess ends them all.
    #[test]
    fn o_05_failures_lead_to_waits_that_end() {
        let mut attempts = Attempts::default();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..150 {
            attempts.guess(at(now));
            if let Some(until) = attempts.locked_until.filter(|until| at(now) < *until) {
                let wait = until.duration_since(at(now)).as_secs();
                assert!(attempts.locked(at(now + wait - 1)) && !attempts.locked(at(now + wait)));
                assert!(!attempts.take(at(now), FOR_ANYBODY), "no code that could not be used");
                waits.push(wait / 60);
                now += wait;
            }
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 960, 1440, 1440, 1440]);
        attempts.forgive();
        assert!(!attempts.locked(at(now)));
        attempts.failures = u32::MAX - 1;
        attempts.guess(at(now));
        attempts.guess(at(now));
        assert!(attempts.locked_until.is_none_or(|until| until <= at(now + 86_400)));
    }

    /// Decision 12: anonymous people cannot make the store grow: there are 2^20 places a tenant, whatever is typed.
    #[test]
    fn counters_have_a_bounded_number_of_places() {
        let ring = KeyRing::parse(&KeyRing::generate(&SeededEntropy::new(1))).unwrap();
        let tenant = TenantId::random(&SeededEntropy::new(2));
        let address = b"sam@fabrikam.example";
        let key = Attempts::key(&ring, tenant, Purpose::Passcode, address);
        let place = key.key().segments().nth(1).unwrap().to_vec();
        assert!(place.len() == 3 && place[0] < 16);
        assert_ne!(key.key(), Attempts::key(&ring, tenant, Purpose::Password, address).key());
        let other = KeyRing::parse(&KeyRing::generate(&SeededEntropy::new(3))).unwrap();
        assert_ne!(key.key(), Attempts::key(&other, tenant, Purpose::Passcode, address).key(), "nobody outside can pick a place");
    }
}
