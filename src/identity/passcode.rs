//! One-time passcodes: eight digits, mailed to an address, typed back into the browser that asked.
//!
//! A code is bound to its tenant, journey and address; it lives minutes, works once, and dies after five wrong guesses, each
//! counted before anybody is told that it was wrong. The store keeps a keyed hash only, so a copy of the store holds no code
//! that could be found by trying: whoever wants to try needs the key ring as well (checklist O-07).
//!
//! Nothing here tells whether an address is known. For an unknown one a challenge is written that no code answers, and the
//! mail that goes with it is a decoy.
//!
//! A passcode proves that somebody reads a mailbox, now. That is weaker than a sign-in at a home organisation.

use std::{fmt, net::IpAddr, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::attempts::{Attempts, Counter, FOR_ANYBODY, Purpose, RETRIES};
use crate::{
    clock::{Clock, Entropy},
    domain::{EmailAddress, TenantId, UserId, VerifiedEmail, tenant::Tenant},
    error::Code,
    seal::KeyRing,
    secret::{Secret, constant_time_eq},
    store::{
        Batch, Entry, Key, Partition, Races, StoreError,
        records::{RecordKey, Store, Stored, kind, take},
    },
};

mod counters;
mod limits;

use counters::{CounterKeys, Counters};
use limits::SendLimits;

/// How many digits a code has: 26.6 bits, so that one guess each at 100,000 addresses hits nothing in most cases.
const DIGITS: usize = 8;
/// How many guesses a code survives.
const GUESSES: u8 = 5;

/// A code that is about to be mailed, for the callback of [`Passcodes::send`].
#[derive(Clone)]
pub struct NewCode {
    /// The digits, without spaces.
    pub digits: Secret,
    /// From when on it no longer works.
    pub expires: Timestamp,
    /// Whether its mail must not leave: nobody here has that address.
    pub decoy: bool,
}

impl fmt::Debug for NewCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCode").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// What can be shown after a code was asked for: the same whether or not one was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// From when on a code that was sent now does not work any more.
    pub expires: Timestamp,
}

/// Somebody who may ask for a code for an address in a journey, as far as the memory of this server knows; and what the store
/// knows of the code that they have, and has counted against the address.
pub struct Asked<'a> {
    tenant: &'a Tenant,
    journey: [u8; 16],
    address: &'a EmailAddress,
    place: Place,
    challenge: Option<Stored<Challenge>>,
    counters: Counters,
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What the store knows of a code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Challenge {
    /// The keyed hash of the code and of all that it is bound to; random bytes for a decoy.
    mac: [u8; 32],
    /// How many guesses were made.
    guesses: u8,
    /// From when on the record is absent.
    expires: Timestamp,
}

impl Challenge {
    /// Whether it was guessed at too often.
    fn is_dead(&self) -> bool {
        self.guesses >= GUESSES
    }
}

/// Sends and verifies one-time passcodes.
pub struct Passcodes {
    store: Store,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    limits: SendLimits,
}

impl fmt::Debug for Passcodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passcodes")
    }
}

impl Passcodes {
    /// Passcodes whose hashes are made with `ring`. One for the whole server: it holds the limits by client and in all.
    #[must_use]
    pub fn new(store: Store, ring: Arc<KeyRing>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { limits: SendLimits::new(clock.clone()), store, ring, clock, entropy }
    }

    /// Asks whether a code may be sent to `address` in this journey for `client`, who may have opened the link of an invitation
    /// to that address (`invited`: whose). What is counted against the address is read, and what is `beside` it in the same
    /// round trip.
    ///
    /// # Errors
    /// [`Code::TooManyCodes`] when the client, the tenant or the server has reached its limit, which says nothing about the
    /// address; [`Code::StoreUnavailable`].
    pub async fn ask<'a>(
        &self,
        tenant: &'a Tenant,
        journey: &[u8; 16],
        address: &'a EmailAddress,
        (client, invited): (IpAddr, Option<UserId>),
        beside: &[Key],
    ) -> Result<(Asked<'a>, Vec<Option<Entry>>), Code> {
        if !self.limits.admit(tenant.id, client) {
            return Err(Code::TooManyCodes);
        }
        let place = self.place(tenant.id, journey, address, invited);
        let (challenge, counters, beside) = self.read(&place, beside).await?;
        Ok((Asked { tenant, journey: *journey, address, place, challenge, counters }, beside))
    }

    /// Whether an invitation may be mailed to `address` once more, for `client`: as often as codes are, each counted by itself.
    /// It is counted whoever has the address.
    ///
    /// # Errors
    /// [`Code::TooManyCodes`] when the client, the tenant or the server has reached its limit, which says nothing about the
    /// address; [`Code::StoreUnavailable`].
    pub async fn may_send_invitation(&self, tenant: TenantId, address: &EmailAddress, client: IpAddr) -> Result<bool, Code> {
        if !self.limits.admit(tenant, client) {
            return Err(Code::TooManyCodes);
        }
        let counter = Attempts::key(&self.ring, tenant, Purpose::Invitation, address.as_str().as_bytes());
        let mut races = Races::at_most(RETRIES);
        loop {
            let now = self.clock.now();
            let read = self.store.get(&counter).await.map_err(StoreError::refusal)?;
            let mut counted = Counter::of(counter.clone(), read);
            if !counted.after.take(now, FOR_ANYBODY) {
                return Ok(false);
            }
            let batch = counted.write(Batch::new(Partition::Tenant(tenant)), now);
            if races.won(self.store.commit(batch).await).map_err(StoreError::refusal)? {
                return Ok(true);
            }
        }
    }

    /// Makes a code for who `asked`, and queues its mail in the same commit: `enqueue` adds it to the batch.
    /// For an address that is not `known` all is done in the same way, with a decoy.
    ///
    /// When the address has had too many codes the answer is the same, and there is no new code. An earlier code of this
    /// journey goes on working then; otherwise the new one replaces it.
    ///
    /// `enqueue` is called again when a commit lost a race.
    ///
    /// # Errors
    /// [`Code::StoreUnavailable`]; what `enqueue` fails with.
    pub async fn send(
        &self,
        asked: Asked<'_>,
        known: bool,
        enqueue: impl Fn(Batch, &NewCode) -> Result<Batch, Code>,
    ) -> Result<Sent, Code> {
        let Asked { tenant, journey, address, place, challenge: mut before, mut counters } = asked;
        let now = self.clock.now();
        let life = SignedDuration::from_mins(tenant.policy.passcode_minutes.clamp(1, 30).into());
        let expires = now.saturating_add(life).unwrap_or(Timestamp::MAX);
        let code = NewCode { digits: random_digits(&*self.entropy), expires, decoy: !known };
        let mut mac = self.mac(tenant.id, &journey, address, code.digits.expose());
        if code.decoy {
            self.entropy.fill(&mut mac);
        }
        let challenge = Challenge { mac, guesses: 0, expires };
        let mut races = Races::at_most(RETRIES);
        loop {
            if !counters.send(now, before.is_some_and(|before| before.value.is_dead())) {
                return Ok(Sent { expires });
            }
            let batch = Batch::new(place.partition).put_until(&place.challenge, &challenge, Some(expires));
            let batch = counters.write_sent(batch, now);
            if races.won(self.store.commit(enqueue(batch, &code)?).await).map_err(StoreError::refusal)? {
                return Ok(Sent { expires });
            }
            (before, counters, _) = self.read(&place, &[]).await?;
        }
    }

    /// Verifies what was typed for `address` in this journey, by somebody who may have opened the link of an invitation to it, as
    /// when they asked for the code. Spaces and dashes in it do not matter. Of several right
    /// answers at once, one succeeds; beside it comes what was read under the keys `beside`, of use to somebody who was right.
    ///
    /// # Errors
    /// [`Code::CodeWrong`]; [`Code::CodeExpired`] when there is no code, or it was used, or guessed at too often;
    /// [`Code::TooManyCodes`] while the address has to wait after many wrong guesses, in a row or in a day;
    /// [`Code::StoreUnavailable`].
    pub async fn verify(
        &self,
        tenant: TenantId,
        journey: &[u8; 16],
        address: &EmailAddress,
        typed: &str,
        invited: Option<UserId>,
        beside: &[Key],
    ) -> Result<(VerifiedEmail, Vec<Option<Entry>>), Code> {
        // What cannot be a code is not worth a guess.
        let digits = typed_digits(typed).ok_or(Code::CodeWrong)?;
        let place = self.place(tenant, journey, address, invited);
        let offered = self.mac(tenant, journey, address, digits.expose());
        let mut races = Races::at_most(RETRIES);
        loop {
            let now = self.clock.now();
            let (challenge, mut counters, beside) = self.read(&place, beside).await?;
            let mut read = challenge.ok_or(Code::CodeExpired)?;
            if counters.are_used_up(now) {
                return Err(Code::TooManyCodes);
            }
            if read.value.is_dead() {
                return Err(Code::CodeExpired);
            }
            let right = constant_time_eq(&offered, &read.value.mac);
            let mut batch = Batch::new(place.partition).unchanged(&place.challenge, Some(&read));
            if right {
                batch = batch.delete(&place.challenge);
            } else {
                read.value.guesses += 1;
                batch = batch.put_until(&place.challenge, &read.value, Some(read.value.expires));
            }
            batch = counters.write_guess(batch, right, now);
            // Nobody learns which it was before the guess is counted, or the code used up (checklist O-01, O-03, O-09): of
            // many guesses at once one is counted a round, and the others are judged by what it has left.
            if races.won(self.store.commit(batch).await).map_err(StoreError::refusal)? {
                let proven = || (VerifiedEmail::proven_by_passcode(address.clone()), beside);
                return right.then(proven).ok_or(Code::CodeWrong);
            }
        }
    }

    async fn read(&self, place: &Place, beside: &[Key]) -> Result<Found, Code> {
        let own = std::iter::once(place.challenge.key()).chain(place.counters.keys());
        let keys: Vec<_> = own.chain(beside).cloned().collect();
        let mut entries = self.store.entries(&keys).await.map_err(StoreError::refusal)?.into_iter();
        let challenge = take(&mut entries).map_err(StoreError::refusal)?;
        let counters = place.counters.take(&mut entries).map_err(StoreError::refusal)?;
        Ok((challenge, counters, entries.collect()))
    }

    fn place(&self, tenant: TenantId, journey: &[u8; 16], address: &EmailAddress, invited: Option<UserId>) -> Place {
        Place {
            challenge: self.challenge_key(tenant, journey, address),
            counters: CounterKeys::new(&self.ring, tenant, address, invited),
            partition: Partition::Tenant(tenant),
        }
    }

    fn challenge_key(&self, tenant: TenantId, journey: &[u8; 16], address: &EmailAddress) -> RecordKey<Challenge> {
        let hash = self.ring.keyed_hash("passcode address", address.as_str().as_bytes());
        RecordKey::in_tenant(tenant, kind::PASSCODE, &[journey, &hash[..16]])
    }

    fn mac(&self, tenant: TenantId, journey: &[u8; 16], address: &EmailAddress, digits: &str) -> [u8; 32] {
        // Everything before the address has a fixed length.
        let bound = [tenant.as_bytes(), journey, digits.as_bytes(), address.as_str().as_bytes()].concat();
        self.ring.keyed_hash("passcode", &zeroize::Zeroizing::new(bound))
    }
}

/// A code, its counters, and what was read beside them.
type Found = (Option<Stored<Challenge>>, Counters, Vec<Option<Entry>>);

/// Where a code and its counters are.
struct Place {
    challenge: RecordKey<Challenge>,
    counters: CounterKeys,
    partition: Partition,
}

/// Eight digits, each number as likely as any other.
fn random_digits(entropy: &dyn Entropy) -> Secret {
    const NUMBERS: u32 = 10u32.pow(DIGITS as u32);
    // The greatest multiple of the range: what lies above it would make low numbers more likely.
    const LIMIT: u32 = u32::MAX / NUMBERS * NUMBERS;
    loop {
        let mut bytes = [0; 4];
        entropy.fill(&mut bytes);
        let number = u32::from_le_bytes(bytes);
        if number < LIMIT {
            return Secret::new(format!("{:0DIGITS$}", number % NUMBERS));
        }
    }
}

/// The digits in what was typed, if it can be a code: people copy spaces and dashes along.
fn typed_digits(typed: &str) -> Option<Secret> {
    if typed.len() > 64 {
        return None;
    }
    let separator = |c: &char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{200b}' | '\u{feff}');
    let digits: String = typed.chars().filter(|c| !separator(c)).collect();
    (digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit())).then(|| Secret::new(digits))
}

#[cfg(test)]
mod tests;
