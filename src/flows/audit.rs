//! Reading a tenant's audit log: whether it is unchanged, and what is in it.
//!
//! The log is a chain: each entry holds the hash of the one before, and the head that of the last. Whoever can write to the
//! store can also write a whole new chain; a head that was noted elsewhere shows that, too, and so it shows when entries
//! were cut off at the end together with the head (checklist W-03).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        TenantId,
        audit::{Event, Head},
    },
    store::{
        Backend, Partition, StoreError,
        records::{self, Store, decode},
        walk::{Walk, partitions},
    },
};

/// The most entries that are listed at once.
pub const LIST_MAX: u32 = 10_000;
/// How many entries are read at once while listing.
const PAGE: u64 = 128;

/// What the walk through a tenant's log has shown.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The tenant.
    pub tenant: TenantId,
    /// How many entries follow on one another, from the first.
    pub entries: u64,
    /// The last of them, to be noted and compared with later.
    pub head: Head,
    /// Where the log was changed, if anywhere.
    pub broken: Option<Break>,
}

/// Where a log was changed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Break {
    /// The number of the first entry that does not follow, or is missing.
    pub entry: u64,
    /// What is wrong with it.
    pub problem: String,
}

/// The tenants in the store's list.
///
/// # Errors
/// When the store is unavailable.
pub async fn tenants(store: &dyn Backend) -> Result<Vec<TenantId>, StoreError> {
    let partitions = partitions(store).await?.into_iter();
    Ok(partitions.filter_map(|partition| if let Partition::Tenant(tenant) = partition { Some(tenant) } else { None }).collect())
}

/// Walks through a tenant's log, page by page, and compares it with its head and with one that was `noted` earlier. Others
/// may go on writing to it meanwhile.
///
/// # Errors
/// When the store is unavailable. An entry that cannot be read is no error but a break.
pub async fn verify(store: &Store, tenant: TenantId, noted: Option<&Head>) -> Result<Verified, StoreError> {
    let mut end = Head::default();
    let broken = |end: Head, entry, problem: &str| {
        let broken = Some(Break { entry, problem: problem.to_owned() });
        Ok(Verified { tenant, entries: end.sequence, head: end, broken })
    };
    let before = match head(store, tenant).await {
        Err(StoreError::Corrupt(_)) => return broken(end, 1, "the log's head, which should know of it, cannot be read"),
        before => before?,
    };
    let mut walk = Walk::under(&**store.backend(), records::audit_events(tenant).key().clone());
    while let Some(entry) = walk.next().await? {
        let number = number(&entry.key).unwrap_or(end.sequence + 1);
        let Ok(stored) = decode::<Event>(entry) else { return broken(end, number, "it cannot be read") };
        if number != stored.value.sequence || !stored.value.follows(&end) {
            return broken(end, number, "it does not follow on the one before");
        }
        let reached = stored.value.head(tenant);
        for (known, problem) in [
            (
                noted,
                "it does not match the head that was noted: that was typed wrong, a backup was restored, or the log was changed",
            ),
            (before.as_ref(), "the log's head says otherwise"),
        ] {
            if known.is_some_and(|known| known.sequence == reached.sequence && *known != reached) {
                return broken(end, number, problem);
            }
        }
        end = reached;
    }
    let after = head(store, tenant).await?.unwrap_or_default();
    let missing = end.sequence + 1;
    if noted.is_some_and(|noted| noted.sequence > end.sequence) {
        return broken(end, missing, "it is missing: the log ends before the entry that was noted");
    }
    if noted.is_some_and(|noted| noted.sequence == 0 && *noted != Head::default()) {
        return broken(Head::default(), 1, "no log begins with the hash that was noted");
    }
    if before.is_some_and(|before| before.sequence > end.sequence) {
        return broken(end, missing, "it is missing: the log ends before the entry that was written last");
    }
    if after.sequence < end.sequence || (after.sequence == end.sequence && after != end) {
        return broken(end, after.sequence + 1, "the log's head does not know of it");
    }
    Ok(Verified { tenant, entries: end.sequence, head: end, broken: None })
}

async fn head(store: &Store, tenant: TenantId) -> Result<Option<Head>, StoreError> {
    Ok(store.get(&records::audit_head(tenant)).await?.map(|stored| stored.value))
}

/// The number in the name of an entry.
fn number(key: &crate::store::Key) -> Option<u64> {
    Some(u64::from_be_bytes(key.segments().next()?.try_into().ok()?))
}

/// The last `limit` entries of a tenant's log, at most [`LIST_MAX`], of those since a time if one is given; oldest first.
/// Read from the end, so that a long log costs no more than a short one.
///
/// # Errors
/// When the store is unavailable or an entry cannot be read.
pub async fn list(store: &Store, tenant: TenantId, since: Option<Timestamp>, limit: u32) -> Result<Vec<Event>, StoreError> {
    let limit = limit.min(LIST_MAX) as usize;
    let mut end = head(store, tenant).await?.unwrap_or_default().sequence;
    let mut found = Vec::new();
    while end > 0 && found.len() < limit {
        let first = end.saturating_sub(PAGE - 1).max(1);
        let keys: Vec<_> = (first..=end).rev().map(|sequence| records::audit_event(tenant, sequence)).collect();
        let page = store.get_all(&keys).await?;
        let events: Vec<_> = page.into_iter().flatten().map(|stored| stored.value).collect();
        let read = events.len();
        let recent = events.into_iter().filter(|event| since.is_none_or(|since| event.at >= since));
        let before = found.len();
        found.extend(recent);
        // The clocks of several nodes differ by seconds: a whole page without one that is recent is past them all.
        if since.is_some() && read > 0 && found.len() == before {
            break;
        }
        end = first - 1;
    }
    found.truncate(limit);
    found.reverse();
    Ok(found)
}

#[cfg(test)]
mod tests;
