//! Passwords of accounts that live here: of a tenant's own members, and of guests who have no account anywhere.
//!
//! Argon2id (RFC 9106) with OWASP's parameters, as PHC strings. Verifying takes tens of milliseconds and 19 MiB, so it runs
//! beside the async workers and only a few at once; an address that is unknown costs the same time (checklist T-10).
//! Failures are counted per address before the password is looked at, with waits that end, as for passcodes.

use std::{fmt, sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

mod strength;

use super::attempts::{Attempts, Purpose, RETRIES};
use crate::{
    clock::{Clock, Entropy},
    domain::{EmailAddress, TenantId, UserId},
    error::Code,
    seal::KeyRing,
    secret::Secret,
    store::{
        Batch, Partition, Races, StoreError,
        records::{RecordKey, Store, kind},
    },
};

/// The fewest characters of a password (NIST SP 800-63B-4 asks for 15 where it stands alone, OWASP ASVS 6.2.1 for 8).
pub const MIN_LENGTH: usize = 12;
/// The most bytes of a password. Long passphrases fit; what is longer only costs time.
pub const MAX_BYTES: usize = 1024;

/// Memory in KiB, passes and lanes: OWASP's first choice for Argon2id.
const COST: (u32, u32, u32) = (19_456, 2, 1);
/// What a password is compared with when there is nothing to compare it with: at the same cost, and matched by none that
/// anybody could find, since its hash was not computed from anything.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// How many passwords are hashed at once.
const AT_ONCE: usize = 2;
/// How long to wait for a turn before giving up.
const QUEUE_TIME: Duration = Duration::from_secs(5);

/// The password of a user, as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordRecord {
    /// Argon2id with its parameters and salt, in PHC string format.
    hash: String,
    /// When it was set.
    pub set: Timestamp,
}

impl fmt::Debug for PasswordRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordRecord").field("set", &self.set).finish_non_exhaustive()
    }
}

/// Why a password cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than [`MIN_LENGTH`] characters.
    #[error("a password has at least 12 characters; a few words are fine")]
    TooShort,
    /// More than [`MAX_BYTES`] bytes.
    #[error("a password has at most 1,024 bytes")]
    TooLong,
    /// It would be guessed soon.
    #[error("this password would be guessed soon; take a few words that do not belong together")]
    TooCommon,
    /// It has a part that is known of its owner.
    #[error("a password has no part of the owner's name or address, or of the organisation's name")]
    Personal,
    /// The server could not compute it.
    #[error("the password could not be stored: {0}")]
    Failed(Code),
}

impl PasswordError {
    /// The refusal that tells a person so.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::TooShort | Self::TooLong => Code::PasswordLength,
            Self::TooCommon => Code::PasswordGuessable,
            Self::Personal => Code::PasswordPersonal,
            Self::Failed(code) => code,
        }
    }
}

impl From<Code> for PasswordError {
    fn from(code: Code) -> Self {
        Self::Failed(code)
    }
}

/// The record of a user's password.
#[must_use]
pub fn password(tenant: TenantId, user: UserId) -> RecordKey<PasswordRecord> {
    RecordKey::in_tenant(tenant, kind::PASSWORD, &[user.as_bytes()])
}

/// Sets and verifies passwords. Cheap to clone; clones share the limit of hashes at once.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    turns: Arc<Semaphore>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts")
    }
}

impl Accounts {
    /// Accounts in `store`. One for the whole server: it holds the limit of hashes at once.
    #[must_use]
    pub fn new(store: Store, ring: Arc<KeyRing>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, ring, clock, entropy, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Checks a new password's strength and hashes it, for callers that put it into a batch of their own. `about` is what
    /// people know of its owner, which is no part of a good password: the address, the name, the organisation.
    ///
    /// # Errors
    /// When it is too weak or too long; when there are too many to be hashed.
    pub async fn hash(&self, new: &Secret, about: &[String]) -> Result<PasswordRecord, PasswordError> {
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        let (new, about) = (new.clone(), about.to_vec());
        let strong = move || strength::check(new.expose(), &about).map(|()| hash(&new, &salt));
        let hash = self.compute(strong).await??.ok_or(Code::Internal)?;
        Ok(PasswordRecord { hash, set: self.clock.now() })
    }

    /// Whether a stored password is this one. Not for signing in: nothing is counted.
    ///
    /// # Errors
    /// [`Code::TooMany`] when there are too many to be verified.
    pub async fn matches(&self, record: &PasswordRecord, password: &Secret) -> Result<bool, Code> {
        let (hash, password) = (record.hash.clone(), password.clone());
        self.compute(move || verifies(&hash, &password)).await
    }

    /// Gives a user a password, replacing the one there is.
    ///
    /// # Errors
    /// As [`hash`](Self::hash), or when the store is unavailable.
    pub async fn set_password(&self, tenant: TenantId, user: UserId, new: &Secret) -> Result<(), PasswordError> {
        let record = self.hash(new, &[]).await?;
        let batch = Batch::new(Partition::Tenant(tenant)).put(&password(tenant, user), &record);
        self.store.commit(batch).await.map_err(|error| PasswordError::Failed(error.refusal()))
    }

    /// Verifies the password that somebody gave together with `address`. `user` is the holder of the address, if there is
    /// one; with none, or with one who has no password, everything takes as long and ends as a wrong password.
    ///
    /// # Errors
    /// [`Code::PasswordWrong`]; [`Code::TooManyCodes`] while the address has to wait after many failures; [`Code::TooMany`]
    /// when there are too many to be verified; [`Code::StoreUnavailable`].
    pub async fn verify(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
        user: Option<UserId>,
        given: &Secret,
    ) -> Result<UserId, Code> {
        let counter = Attempts::key(&self.ring, tenant, Purpose::Password, address.as_str().as_bytes());
        self.count_guess(tenant, &counter).await?;
        let key = password(tenant, user.unwrap_or(UserId(uuid::Uuid::nil())));
        let record = self.store.get(&key).await.map_err(StoreError::refusal)?.filter(|_| user.is_some());
        let stored = record.map_or_else(|| DECOY.to_owned(), |record| record.value.hash);
        let given = given.clone();
        let right = self.compute(move || verifies(&stored, &given)).await?;
        let user = user.filter(|_| right).ok_or(Code::PasswordWrong)?;
        self.forgive(tenant, &counter).await?;
        Ok(user)
    }

    /// Counts a failure before the password is looked at.
    async fn count_guess(&self, tenant: TenantId, counter: &RecordKey<Attempts>) -> Result<(), Code> {
        self.change(tenant, counter, |attempts, now| {
            if attempts.locked(now) {
                return Err(Code::TooManyCodes);
            }
            attempts.guess(now);
            Ok(())
        })
        .await
    }

    async fn forgive(&self, tenant: TenantId, counter: &RecordKey<Attempts>) -> Result<(), Code> {
        self.change(tenant, counter, |attempts, _| {
            attempts.forgive();
            Ok(())
        })
        .await
    }

    async fn change(
        &self,
        tenant: TenantId,
        counter: &RecordKey<Attempts>,
        change: impl Fn(&mut Attempts, Timestamp) -> Result<(), Code>,
    ) -> Result<(), Code> {
        let mut races = Races::at_most(RETRIES);
        loop {
            let now = self.clock.now();
            let read = self.store.get(counter).await.map_err(StoreError::refusal)?;
            let mut attempts = read.as_ref().map(|read| read.value.clone()).unwrap_or_default();
            change(&mut attempts, now)?;
            let batch = Batch::new(Partition::Tenant(tenant)).unchanged(counter, read.as_ref()).put_until(
                counter,
                &attempts,
                Some(Attempts::forget_at(now)),
            );
            if races.won(self.store.commit(batch).await).map_err(StoreError::refusal)? {
                return Ok(());
            }
        }
    }

    /// Runs a hash beside the async workers when it is its turn.
    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Code> {
        let turn = tokio::time::timeout(QUEUE_TIME, self.turns.clone().acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(Code::TooMany)?;
        // The turn ends with the work, also when the request that asked for it is gone by then.
        let work = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Code::Internal)
    }
}

fn argon2() -> Option<Argon2<'static>> {
    let (memory, passes, lanes) = COST;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory, passes, lanes, None).ok()?))
}

fn hash(password: &Secret, salt: &[u8; 16]) -> Option<String> {
    let hash = argon2()?.hash_password_with_salt(password.expose().as_bytes(), salt).ok()?;
    Some(hash.to_string())
}

/// Verifies with the parameters that the hash itself names, so that they can be raised.
fn verifies(hash: &str, password: &Secret) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    password.expose().len() <= MAX_BYTES
        && argon2().is_some_and(|argon2| argon2.verify_password(password.expose().as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests;
