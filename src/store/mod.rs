//! Where records live: a key-value store with versions, atomic batches and a feed of changes.
//!
//! [`Backend`] is what an implementer writes: four methods. Every change of state in Vestibule is one [`Batch`] of checks
//! and writes that a backend applies whole or not at all. [`records`] puts types on top; nothing else builds keys.
//!
//! # What a backend promises
//!
//! * A commit that was acknowledged is durable in the backend's own sense (embedded: on disk) and visible to every later read.
//! * A batch is applied whole or not at all; its checks and its writes are one atomic step.
//! * Expiry is judged by *our* clock when reading and when checking. What has expired is absent, whether or not it is still
//!   stored.
//! * [`Backend::watch`] reports every change, or says [`Change::Lost`]; it never loses one in silence. As long as it is in
//!   touch it says so, too ([`Change::Current`]): who hears neither knows nothing any more.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::{clock::Clock, domain::TenantId, error::Code};

#[cfg(feature = "embedded")]
pub mod backup;
#[cfg(test)]
mod contract;
pub mod copy;
#[cfg(feature = "embedded")]
pub mod embedded;
mod location;
pub mod measured;
pub mod memory;
mod races;
pub mod records;
#[cfg(feature = "redis")]
pub mod redis;
pub mod walk;

pub use location::{Location, Opened, Snapshots};
pub use measured::Measured;
pub use races::Races;

/// What lives and commits together. A batch touches one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// The list of tenants, and claims on domains and hosts: claim here first, then commit in the tenant; both idempotent.
    Global,
    /// Everything of one tenant. An id of one tenant cannot name a record of another (checklist T-02).
    Tenant(TenantId),
}

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Tenant(tenant) => tenant.fmt(f),
        }
    }
}

/// The name of a record: a partition, a kind, and segments. Segments are length-prefixed, so no text in one can reach into the
/// next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    partition: Partition,
    /// The kind's byte, then the segments.
    bytes: Bytes,
}

impl Key {
    /// A key of `kind` made of `segments`, each at most 65,535 bytes.
    #[must_use]
    pub fn new(partition: Partition, kind: u8, segments: &[&[u8]]) -> Self {
        let mut bytes = Vec::with_capacity(1 + segments.iter().map(|s| s.len() + 2).sum::<usize>());
        bytes.push(kind);
        for segment in segments {
            // Callers hand in parsed values (ids, hashes, addresses of at most 254 bytes), never raw input.
            let length = u16::try_from(segment.len()).expect("key segments are short");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(segment);
        }
        Self { partition, bytes: bytes.into() }
    }

    /// What all keys of a partition start with.
    #[must_use]
    pub fn whole(partition: Partition) -> Self {
        Self::from_parts(partition, Bytes::new())
    }

    /// A key as a backend stored it.
    #[must_use]
    pub fn from_parts(partition: Partition, bytes: Bytes) -> Self {
        Self { partition, bytes }
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The kind and the segments, in an order-preserving form.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// The segments.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.get(1..).unwrap_or_default();
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_at_checked(2)?;
            let (segment, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes([length[0], length[1]])))?;
            rest = tail;
            Some(segment)
        })
    }
}

/// Tells one write of a record from every other. Opaque; never used again for the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: Key,
    /// Its bytes.
    pub value: Bytes,
    /// The write that made it.
    pub version: Version,
    /// From when on it is absent.
    pub expires: Option<Timestamp>,
}

/// A condition of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The record is still as it was read.
    Is(Key, Version),
    /// There is no such record (or it has expired).
    Absent(Key),
}

/// A write of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Stores a record, replacing what is there.
    Put {
        /// Its name.
        key: Key,
        /// Its bytes, at most 1 MiB.
        value: Bytes,
        /// From when on it is absent.
        expires: Option<Timestamp>,
    },
    /// Removes a record; nothing happens when it is absent.
    Delete(Key),
}

impl Write {
    /// The name of the record that is stored or removed.
    #[must_use]
    pub fn key(&self) -> &Key {
        let (Self::Put { key, .. } | Self::Delete(key)) = self;
        key
    }
}

/// Checks and writes that are applied together or not at all, in one partition.
#[must_use = "a batch does nothing until it is committed"]
#[derive(Clone, Debug)]
pub struct Batch {
    partition: Partition,
    checks: Vec<Check>,
    writes: Vec<Write>,
}

impl Batch {
    /// An empty batch for `partition`.
    pub fn new(partition: Partition) -> Self {
        Self { partition, checks: Vec::new(), writes: Vec::new() }
    }

    /// Adds a condition.
    ///
    /// # Panics
    /// When the key is of another partition, which is a fault in the calling code.
    pub fn check(mut self, check: Check) -> Self {
        let (Check::Is(key, _) | Check::Absent(key)) = &check;
        assert_eq!(key.partition, self.partition, "a batch touches one partition");
        self.checks.push(check);
        self
    }

    /// Adds a write. Where two writes name one key, the later one wins.
    ///
    /// # Panics
    /// When the key is of another partition, which is a fault in the calling code.
    pub fn write(mut self, write: Write) -> Self {
        assert_eq!(write.key().partition, self.partition, "a batch touches one partition");
        self.writes.push(write);
        self
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The conditions.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The writes, in order.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }
}

/// A page of a scan.
#[derive(Clone, Debug)]
pub struct Page {
    /// Entries with keys after this one only.
    pub after: Option<Key>,
    /// At most this many.
    pub limit: usize,
}

/// What the feed reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// These keys were written or deleted by one commit.
    Keys(Arc<[Key]>),
    /// Some changes were missed: whatever was remembered must be read again.
    Lost,
    /// Everything that was committed before this moment has been reported.
    Current(Timestamp),
}

impl Change {
    /// What the commit of `batch` is reported as; nothing when it wrote nothing.
    fn of(batch: &Batch) -> Option<Self> {
        let keys: Arc<[Key]> = batch.writes.iter().map(|write| write.key().clone()).collect();
        (!keys.is_empty()).then_some(Self::Keys(keys))
    }
}

/// How often a feed says that it is in touch, at least.
const PULSE: Duration = Duration::from_millis(500);

/// How many changes a slow subscriber may fall behind before it is told [`Change::Lost`].
const FEED_CAPACITY: usize = 4096;

/// Why a store did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A check of the batch did not hold. Nothing was written. Read again and decide again.
    #[error("a record was changed by somebody else")]
    Conflict,
    /// The store cannot be reached or refuses to work; nothing is known to have been written.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A stored record cannot be read: damage, or a format of the future.
    #[error("a stored record is unreadable: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// What somebody is told whose request it ends; what it was is said in the log.
    #[must_use]
    pub fn refusal(self) -> Code {
        match &self {
            Self::Conflict => tracing::warn!("a change lost too many races"),
            Self::Unavailable(_) | Self::Corrupt(_) => tracing::error!(error = %self, "the store failed"),
        }
        match self {
            Self::Conflict => Code::Changed,
            Self::Unavailable(_) => Code::StoreUnavailable,
            Self::Corrupt(_) => Code::Internal,
        }
    }
}

/// A place to keep records. See the [module](self) for what it promises.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Reads several records in one round trip: one answer a key, in order.
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError>;

    /// Reads the records whose keys start with `prefix` (same partition, same leading bytes), in key order.
    async fn scan(&self, prefix: &Key, page: Page) -> Result<Vec<Entry>, StoreError>;

    /// Applies a batch, whole or not at all.
    async fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// The feed of all changes from now on; those of one partition in commit order. What was committed a moment before may
    /// be reported, too.
    fn watch(&self) -> Watch;
}

/// A subscription to changes.
pub struct Watch {
    changes: tokio::sync::broadcast::Receiver<Change>,
    /// Where the channel itself is all there is to be in touch with.
    pulse: Option<(tokio::time::Interval, Arc<dyn Clock>)>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// A subscription fed by a broadcast channel, into which every [`Change`] is put, [`Change::Current`] among them. A
    /// receiver that falls behind is told [`Change::Lost`].
    #[must_use]
    pub fn new(changes: tokio::sync::broadcast::Receiver<Change>) -> Self {
        Self { changes, pulse: None }
    }

    /// A subscription to a store that lives in this process: what is not in the channel has not happened.
    ///
    /// # Panics
    /// Outside a runtime of tokio.
    #[must_use]
    pub fn in_process(changes: tokio::sync::broadcast::Receiver<Change>, clock: Arc<dyn Clock>) -> Self {
        let pulse = tokio::time::interval_at(tokio::time::Instant::now() + PULSE, PULSE);
        Self { changes, pulse: Some((pulse, clock)) }
    }

    /// The next change; `None` once the store is gone. May be dropped before it is ready and called again.
    pub async fn next(&mut self) -> Option<Change> {
        use tokio::sync::broadcast::error::RecvError;
        let received = match &mut self.pulse {
            None => self.changes.recv().await,
            Some((pulse, clock)) => tokio::select! {
                // What waits comes first, so that a pulse tells the truth.
                biased;
                change = self.changes.recv() => change,
                _ = pulse.tick() => Ok(Change::Current(clock.now())),
            },
        };
        match received {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(_)) => Some(Change::Lost),
            Err(RecvError::Closed) => None,
        }
    }
}

/// A store, shared.
pub type SharedStore = Arc<dyn Backend>;
