//! How records lie in Redis.
//!
//! Tenants are spread over a fixed number of *shards*, one more holds what is global. A shard is a hash tag, so everything of
//! it is in one slot of a Cluster, and a script can commit it whole. Where a shard's hash tag is `{vb:07}`, there are:
//!
//! | name | type | what |
//! |---|---|---|
//! | `{vb:07}r` + tenant + key | string | a record: version (8 bytes), deadline (12), value |
//! | `{vb:07}i` + tenant | sorted set | the keys of the tenant, for scans |
//! | `{vb:07}x` | sorted set | tenant + key of what expires, by when it does |
//! | `{vb:07}f` | stream | the feed: one entry a commit with its version and its keys |
//! | `{vb:07}v` + version | string | a commit that must not happen any more |
//! | `{vb:07}b` | string | written to see whether replicas follow |
//! | `{vb:g}m` | string | which format this is |
//! | `vb:changes` | channel | commits call out the number of their shard |
//!
//! A version is drawn at random by the committer and never comes back: a number that counts would be given twice when a
//! failover forgets the last commits.

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    domain::TenantId,
    store::{Batch, Check, Entry, Key, Partition, StoreError, Version, Write},
};

/// Over how many shards tenants are spread. Part of the format: another number would look for records where they are not.
pub(super) const TENANT_SHARDS: usize = 16;
/// All of them.
pub(super) const SHARDS: usize = TENANT_SHARDS + 1;
/// The shard of what is global.
pub(super) const GLOBAL: Shard = Shard(TENANT_SHARDS);
/// What the store says of itself, so that another format is refused.
pub(super) const FORMAT: &str = "vestibule 1, 16 shards";

const HEAD: usize = 20;
/// Feed entries with more bytes than this say *everything* instead.
const FEED_ENTRY: usize = 64 * 1024;
const EVERYTHING: u8 = b'*';
/// Added to seconds, so that none is negative: the earliest time that can be told is −377705116800.
const ORIGIN: i64 = 1 << 39;

/// What lies together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shard(pub(super) usize);

impl Shard {
    pub(super) fn of(partition: Partition) -> Self {
        match partition {
            Partition::Global => GLOBAL,
            // Ids may be chosen by hand; all their bytes count.
            Partition::Tenant(tenant) => Self(
                tenant.as_bytes().iter().fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte)) as usize % TENANT_SHARDS,
            ),
        }
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }
}

/// Names, all of which begin with a namespace, so that several deployments can share a server.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    namespace: String,
}

impl Layout {
    pub(super) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    /// The hash tag of a shard.
    pub(super) fn tag(&self, shard: Shard) -> String {
        match shard {
            GLOBAL => format!("{{{}:g}}", self.namespace),
            Shard(number) => format!("{{{}:{number:02}}}", self.namespace),
        }
    }

    fn name(&self, shard: Shard, what: char, rest: &[&[u8]]) -> Vec<u8> {
        let mut name = self.tag(shard).into_bytes();
        name.push(what as u8);
        rest.iter().for_each(|part| name.extend_from_slice(part));
        name
    }

    pub(super) fn record(&self, key: &Key) -> Vec<u8> {
        self.name(Shard::of(key.partition()), 'r', &[scope(key.partition()).as_ref(), key.bytes()])
    }

    /// What the names of a partition's records begin with.
    pub(super) fn records(&self, partition: Partition) -> Vec<u8> {
        self.name(Shard::of(partition), 'r', &[scope(partition).as_ref()])
    }

    pub(super) fn index(&self, partition: Partition) -> Vec<u8> {
        self.name(Shard::of(partition), 'i', &[scope(partition).as_ref()])
    }

    pub(super) fn deadlines(&self, shard: Shard) -> Vec<u8> {
        self.name(shard, 'x', &[])
    }

    pub(super) fn feed(&self, shard: Shard) -> Vec<u8> {
        self.name(shard, 'f', &[])
    }

    pub(super) fn void(&self, shard: Shard, version: Version) -> Vec<u8> {
        self.name(shard, 'v', &[&version.0.to_be_bytes()])
    }

    pub(super) fn beat(&self, shard: Shard) -> Vec<u8> {
        self.name(shard, 'b', &[])
    }

    pub(super) fn format(&self) -> Vec<u8> {
        self.name(GLOBAL, 'm', &[])
    }

    /// Where commits call out which shard they changed.
    pub(super) fn channel(&self) -> String {
        format!("{}:changes", self.namespace)
    }

    /// The arguments of `commit.lua`.
    pub(super) fn commit(&self, command: &mut redis::Cmd, batch: &Batch, version: Version, now: Timestamp) {
        let partition = batch.partition();
        let shard = Shard::of(partition);
        command.arg(4 + batch.checks().len() + batch.writes().len());
        command.arg(self.feed(shard)).arg(self.deadlines(shard)).arg(self.void(shard, version)).arg(self.index(partition));
        for check in batch.checks() {
            let (Check::Is(key, _) | Check::Absent(key)) = check;
            command.arg(self.record(key));
        }
        for write in batch.writes() {
            command.arg(self.record(write.key()));
        }
        let (seconds, nanos) = instant(now);
        command.arg(&version.0.to_be_bytes()[..]).arg(seconds).arg(nanos).arg(feed_entry(batch));
        command.arg(self.channel()).arg(shard.0).arg(batch.checks().len()).arg(scope(partition).as_ref());
        for check in batch.checks() {
            match check {
                Check::Is(_, version) => command.arg(&version.0.to_be_bytes()[..]),
                Check::Absent(_) => command.arg(""),
            };
        }
        for write in batch.writes() {
            command.arg(&write.key().bytes()[..]);
            match write {
                Write::Put { value, expires, .. } => command.arg(&deadline(*expires)[..]).arg(&value[..]),
                Write::Delete(_) => command.arg("").arg(""),
            };
        }
    }
}

/// A partition within its shard.
fn scope(partition: Partition) -> impl AsRef<[u8]> {
    let tenant = match partition {
        Partition::Global => None,
        Partition::Tenant(tenant) => Some(*tenant.as_bytes()),
    };
    tenant.map_or_else(Vec::new, |tenant| tenant.to_vec())
}

/// The partition and the key of what `scope` + key bytes name in a shard.
pub(super) fn scoped(shard: Shard, name: &[u8]) -> Option<Key> {
    if shard == GLOBAL {
        return Some(Key::from_parts(Partition::Global, Bytes::copy_from_slice(name)));
    }
    let (tenant, key) = name.split_first_chunk::<16>()?;
    Some(Key::from_parts(Partition::Tenant(TenantId(Uuid::from_bytes(*tenant))), Bytes::copy_from_slice(key)))
}

/// A time as scripts compare it: seconds since an origin before all times, and nanoseconds.
pub(super) fn instant(time: Timestamp) -> (i64, i32) {
    // Before 1970 jiff counts both parts backwards.
    let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
    if nanos < 0 { (seconds - 1 + ORIGIN, nanos + 1_000_000_000) } else { (seconds + ORIGIN, nanos) }
}

/// A deadline as it stands in a record; later than any time where there is none.
fn deadline(expires: Option<Timestamp>) -> [u8; 12] {
    let mut bytes = [0xff; 12];
    if let Some(expires) = expires {
        let (seconds, nanos) = instant(expires);
        bytes[..8].copy_from_slice(&seconds.to_be_bytes());
        bytes[8..].copy_from_slice(&nanos.to_be_bytes());
    }
    bytes
}

/// A record as it was stored, if it has not expired.
pub(super) fn entry(key: &Key, stored: &[u8], now: Timestamp) -> Result<Option<Entry>, StoreError> {
    let damaged = || StoreError::Corrupt(format!("kind {}: no head", key.kind()));
    let (head, value) = stored.split_at_checked(HEAD).ok_or_else(damaged)?;
    let number = |range: std::ops::Range<usize>| head[range].iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let expires = match (number(8..16), number(16..20)) {
        (u64::MAX, _) => None,
        (seconds, nanos) => {
            let seconds = i64::try_from(seconds).map_err(|_| damaged())? - ORIGIN;
            let nanos = i32::try_from(nanos).map_err(|_| damaged())?;
            Some(Timestamp::new(seconds, nanos).map_err(|_| damaged())?)
        }
    };
    if expires.is_some_and(|deadline| deadline <= now) {
        return Ok(None);
    }
    Ok(Some(Entry { key: key.clone(), value: Bytes::copy_from_slice(value), version: Version(number(0..8)), expires }))
}

/// What the feed says of a batch: its keys, each with its length, or that there are too many.
fn feed_entry(batch: &Batch) -> Vec<u8> {
    let mut bytes = Vec::new();
    for write in batch.writes() {
        let (scope, key) = (scope(write.key().partition()), write.key().bytes());
        let length = u32::try_from(scope.as_ref().len() + key.len()).expect("keys are short");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(scope.as_ref());
        bytes.extend_from_slice(key);
        if bytes.len() > FEED_ENTRY {
            return vec![EVERYTHING];
        }
    }
    bytes
}

/// What a feed entry says: `None` when anything may have changed.
pub(super) fn read_feed_entry(shard: Shard, entry: &[u8]) -> Option<Vec<Key>> {
    let (mut rest, mut keys) = (entry, Vec::new());
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let (name, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        keys.push(scoped(shard, name)?);
        rest = tail;
    }
    Some(keys)
}

/// The range of index members that start with `prefix` and come after `after`.
pub(super) fn range(prefix: &Key, after: Option<&Key>) -> (Vec<u8>, Vec<u8>) {
    let bound = |mark: u8, bytes: &[u8]| [&[mark], bytes].concat();
    let from = match after {
        Some(after) if after.partition() == prefix.partition() && after >= prefix => bound(b'(', after.bytes()),
        _ => bound(b'[', prefix.bytes()),
    };
    // The first that is greater than all that start so.
    let kept = prefix.bytes().iter().rposition(|byte| *byte != 0xff).map(|last| &prefix.bytes()[..=last]);
    let to = kept.map_or_else(
        || b"+".to_vec(),
        |kept| {
            let mut next = bound(b'(', kept);
            *next.last_mut().expect("not empty") += 1;
            next
        },
    );
    (from, to)
}
