//! Passkeys of accounts that live here (Web Authentication Level 2).
//!
//! A passkey belongs to one user of one tenant, for ever to the host of the public URL (the relying party), and answers
//! challenges of that origin only. It is always asked who uses it (user verification is required), since nothing else is asked
//! for beside it, and it is kept by the authenticator under a user handle (a discoverable credential): at sign-in no passkeys
//! are listed, so that nobody learns who has an account (decision on T-10). The handle is the user's id, enciphered for the
//! tenant: it tells nobody anything, and leads back to the user without an index.
//!
//! A challenge travels sealed in the journey, lives five minutes, and is answered once: what was answered is written down
//! in the commit that accepts it. A signature counter that does not go up gives a copied authenticator away.
//!
//! Only `webauthn` knows the library. Without the feature `passkeys`, or where the public URL has no host *name*, none
//! are offered.

use std::{fmt, sync::Arc};

use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Clock, Entropy},
    domain::{TenantId, UserId, WebUrl},
    error::Code,
    seal::KeyRing,
    secret::SecretHash,
    store::{
        Batch, Partition, Races, StoreError,
        records::{RecordKey, Store, Stored, kind, take},
    },
};

#[cfg(all(test, feature = "passkeys"))]
pub(crate) mod authenticator;
mod octets;
#[cfg(feature = "passkeys")]
mod webauthn;
#[cfg(not(feature = "passkeys"))]
#[path = "passkey/without.rs"]
mod webauthn;

use octets::Octets;
use webauthn::RelyingParty;

/// How long a challenge can be answered.
pub const CHALLENGE_LIFE: SignedDuration = SignedDuration::from_mins(5);
/// The most bytes of a credential id. Discoverable ones have 16 to 64; the specification allows 1,023, which no cookie could
/// carry.
pub const MAX_ID: usize = 255;
/// The most characters of a browser's answer that are read.
const MAX_ANSWER: usize = 16 * 1024;
/// How often a commit that lost a race is decided and tried again.
const RETRIES: usize = 8;

/// A passkey, as it is stored: what its signatures are checked with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasskeyRecord {
    /// The credential id: how browser and authenticator call it.
    id: Octets,
    key: PublicKey,
    /// The greatest signature counter that was seen; 0 when the authenticator has none.
    counter: u32,
    /// Whether it may exist on several devices; it never changes.
    backup_eligible: bool,
    /// Whether it did, when it was last used.
    backed_up: bool,
    /// When it was made.
    pub set: Timestamp,
    /// When it was last used.
    pub used: Option<Timestamp>,
}

/// The public key of a passkey (RFC 9053): of the two algorithms that every authenticator can do one of.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum PublicKey {
    /// ECDSA with SHA-256 on P-256: the coordinates.
    Es256 { x: Octets, y: Octets },
    /// RSASSA-PKCS1-v1_5 with SHA-256: modulus and exponent.
    Rs256 { n: Octets, e: [u8; 3] },
}

impl fmt::Debug for PasskeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasskeyRecord").field("set", &self.set).field("used", &self.used).finish_non_exhaustive()
    }
}

impl PasskeyRecord {
    /// Its place among a user's passkeys: the hash of its id.
    #[must_use]
    pub fn name(&self) -> SecretHash {
        SecretHash::of(&self.id.0)
    }
}

/// That a challenge was answered. The record ends when the challenge does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// When.
    pub at: Timestamp,
}

/// The record of a passkey of a user.
#[must_use]
pub fn passkey(tenant: TenantId, user: UserId, name: &SecretHash) -> RecordKey<PasskeyRecord> {
    RecordKey::in_tenant(tenant, kind::PASSKEY, &[user.as_bytes(), name.as_bytes()])
}

/// All passkeys of a user.
#[must_use]
pub fn passkeys(tenant: TenantId, user: UserId) -> RecordKey<PasskeyRecord> {
    RecordKey::in_tenant(tenant, kind::PASSKEY, &[user.as_bytes()])
}

fn answered(tenant: TenantId, challenge: &[u8; 32]) -> RecordKey<Answered> {
    RecordKey::in_tenant(tenant, kind::ANSWERED_CHALLENGE, &[challenge])
}

/// What a browser was asked to do with a passkey: kept sealed in the journey, needed when it answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceremony {
    act: Act,
    challenge: [u8; 32],
    until: Timestamp,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Act {
    /// A new passkey of this user.
    Create(UserId),
    /// A signature with one of whoever it is.
    Get,
}

impl fmt::Debug for Ceremony {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ceremony").field("act", &self.act).field("until", &self.until).finish_non_exhaustive()
    }
}

/// A ceremony that has begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// For the journey.
    pub ceremony: Ceremony,
    /// For the browser: the argument of `navigator.credentials.create` or `.get` as JSON, binary values in base64url.
    pub options: String,
}

/// Whose passkey is made, in words for the authenticator's own list of accounts.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// In which tenant.
    pub tenant: TenantId,
    /// The tenant's name, shown beside the account: all tenants share one relying party.
    pub organisation: &'a str,
    /// Who.
    pub user: UserId,
    /// The account's name: the address, or else what the person is called.
    pub name: &'a str,
}

/// Makes and verifies passkeys. Cheap to clone.
#[derive(Clone)]
pub struct Passkeys {
    party: Option<RelyingParty>,
    store: Store,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Passkeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passkeys").field("offered", &self.offered()).finish_non_exhaustive()
    }
}

impl Passkeys {
    /// Passkeys in `store` for the origin of `public_url`.
    #[must_use]
    pub fn new(public_url: &WebUrl, store: Store, ring: Arc<KeyRing>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { party: RelyingParty::new(public_url.as_url()), store, ring, clock, entropy }
    }

    /// Whether there are any.
    #[must_use]
    pub fn offered(&self) -> bool {
        self.party.is_some()
    }

    /// Asks for a new passkey; `None` where none are offered. The authenticator is told which of `existing` it need not
    /// make again.
    #[must_use]
    pub fn begin_creation(&self, owner: &Owner<'_>, existing: &[Stored<PasskeyRecord>]) -> Option<Begun> {
        let ceremony = self.ceremony(Act::Create(owner.user));
        let handle = self.handle(owner.tenant, owner.user)?;
        let known: Vec<_> = existing.iter().map(|stored| &stored.value).collect();
        let options = self.party.as_ref()?.creation_options(owner, &handle, &known, &ceremony.challenge)?;
        Some(Begun { ceremony, options })
    }

    /// Takes the browser's answer: a new passkey, which is not written yet.
    ///
    /// # Errors
    /// [`Code::PasskeyRefused`] when it is no answer to this ceremony, or too late, or of a kind that is not taken.
    pub fn finish_creation(&self, ceremony: &Ceremony, user: UserId, answer: &str) -> Result<PasskeyRecord, Code> {
        let now = self.clock.now();
        self.in_time(ceremony, Act::Create(user), answer)?;
        let party = self.party.as_ref().ok_or(Code::PasskeyRefused)?;
        party.created(&ceremony.challenge, answer, now).map_err(|error| {
            tracing::info!(%error, "a new passkey was refused");
            Code::PasskeyRefused
        })
    }

    /// Asks for a signature with any passkey that the browser has for us; `None` where none are offered.
    #[must_use]
    pub fn begin_assertion(&self) -> Option<Begun> {
        let ceremony = self.ceremony(Act::Get);
        let options = self.party.as_ref()?.assertion_options(&ceremony.challenge)?;
        Some(Begun { ceremony, options })
    }

    /// Verifies the browser's answer, and gives the user whose passkey it is. The challenge is used up and the signature
    /// counter kept in one commit.
    ///
    /// # Errors
    /// [`Code::PasskeyRefused`] for all that does not open anything; [`Code::PasskeyCopied`] when the signature counter did
    /// not go up; [`Code::StoreUnavailable`].
    pub async fn verify(&self, tenant: TenantId, ceremony: &Ceremony, answer: &str) -> Result<UserId, Code> {
        self.in_time(ceremony, Act::Get, answer)?;
        let party = self.party.as_ref().ok_or(Code::PasskeyRefused)?;
        let assertion = party.assertion(answer).ok_or(Code::PasskeyRefused)?;
        let user = self.user_of(tenant, assertion.handle()).ok_or(Code::PasskeyRefused)?;
        let key = passkey(tenant, user, &SecretHash::of(assertion.id()));
        let mark = answered(tenant, &ceremony.challenge);
        let mut races = Races::at_most(RETRIES);
        loop {
            let now = self.clock.now();
            let keys = [key.key().clone(), mark.key().clone()];
            let mut entries = self.store.entries(&keys).await.map_err(StoreError::refusal)?.into_iter();
            let record: Option<Stored<PasskeyRecord>> = take(&mut entries).map_err(StoreError::refusal)?;
            let record = record.ok_or(Code::PasskeyRefused)?;
            if take::<Answered>(&mut entries).map_err(StoreError::refusal)?.is_some() {
                return Err(Code::PasskeyRefused);
            }
            let after = party.verified(&ceremony.challenge, &assertion, &record.value, now).map_err(|error| {
                tracing::warn!(%tenant, %user, %error, "a passkey was refused");
                error.code()
            })?;
            let batch = Batch::new(Partition::Tenant(tenant))
                .unchanged(&key, Some(&record))
                .put(&key, &after)
                .absent(&mark)
                .put_until(&mark, &Answered { at: now }, Some(ceremony.until));
            if races.won(self.store.commit(batch).await).map_err(StoreError::refusal)? {
                return Ok(user);
            }
        }
    }

    fn ceremony(&self, act: Act) -> Ceremony {
        let mut challenge = [0; 32];
        self.entropy.fill(&mut challenge);
        let until = self.clock.now().saturating_add(CHALLENGE_LIFE).unwrap_or(Timestamp::MAX);
        Ceremony { act, challenge, until }
    }

    /// Whether an answer can be one to what was asked for.
    fn in_time(&self, ceremony: &Ceremony, act: Act, answer: &str) -> Result<(), Code> {
        let fits = ceremony.act == act && self.clock.now() < ceremony.until && answer.len() <= MAX_ANSWER;
        fits.then_some(()).ok_or(Code::PasskeyRefused)
    }

    /// The user handle: one block of AES under a key of the tenant's, which turns each id into another, and back.
    fn handle(&self, tenant: TenantId, user: UserId) -> Option<[u8; 16]> {
        let mut block = *user.as_bytes();
        EncryptingKey::ecb(self.handle_key(tenant)?).ok()?.encrypt(&mut block).ok()?;
        Some(block)
    }

    /// The user whom a handle stands for in a tenant. Every handle stands for somebody; whether there is such a user, and
    /// whether the passkey is theirs, is for the store to say.
    fn user_of(&self, tenant: TenantId, handle: &[u8]) -> Option<UserId> {
        let mut block: [u8; 16] = handle.try_into().ok()?;
        DecryptingKey::ecb(self.handle_key(tenant)?).ok()?.decrypt(&mut block, DecryptionContext::None).ok()?;
        Some(UserId(uuid::Uuid::from_bytes(block)))
    }

    fn handle_key(&self, tenant: TenantId) -> Option<UnboundCipherKey> {
        let key = self.ring.keyed_hash("passkey user handle", tenant.as_bytes());
        UnboundCipherKey::new(&AES_128, &key[..16]).ok()
    }
}

#[cfg(all(test, feature = "passkeys"))]
mod tests;
