//! Reading a whole store: which partitions it has, and every record of one, page by page.

use std::collections::VecDeque;

use uuid::Uuid;

use super::{Backend, Batch, Entry, Key, Page, Partition, StoreError, Write, records};
use crate::domain::TenantId;

/// Records of a page. A record has at most 1 MiB, so this bounds what is in memory at once.
const PAGE: usize = 128;

/// Deletes of one commit.
const DELETES: usize = 256;

/// The partitions of a store: the global one, then that of each tenant in its list. Tenants are taken from the names of
/// the list's entries, so that one whose entry is damaged is found as well.
///
/// # Errors
/// When the store is unavailable.
pub async fn partitions(store: &dyn Backend) -> Result<Vec<Partition>, StoreError> {
    let mut partitions = vec![Partition::Global];
    let mut listed = Walk::under(store, records::tenants_listed().key().clone());
    while let Some(entry) = listed.next().await? {
        let id = entry.key.segments().next().and_then(|segment| Uuid::from_slice(segment).ok());
        partitions.extend(id.map(|id| Partition::Tenant(TenantId(id))));
    }
    Ok(partitions)
}

/// Whether there is nothing in the store that can be found from its start.
///
/// # Errors
/// When the store is unavailable.
pub async fn is_empty(store: &dyn Backend) -> Result<bool, StoreError> {
    Ok(Walk::of(store, Partition::Global).next().await?.is_none())
}

/// How many records there are in these partitions. Every one of them is read.
///
/// # Errors
/// When the store is unavailable.
pub async fn count(store: &dyn Backend, partitions: &[Partition]) -> Result<u64, StoreError> {
    let mut records = 0;
    for partition in partitions {
        let mut walk = Walk::of(store, *partition);
        while walk.next().await?.is_some() {
            records += 1;
        }
    }
    Ok(records)
}

/// Deletes the records whose keys start with `prefix`, but those that `stays` holds for. In many commits, so that it holds
/// up nobody: cut off in the middle, it has deleted some.
///
/// # Errors
/// When the store is unavailable.
pub async fn delete(store: &dyn Backend, prefix: Key, stays: fn(&Entry) -> bool) -> Result<(), StoreError> {
    let partition = prefix.partition();
    let mut walk = Walk::under(store, prefix);
    let mut batch = Batch::new(partition);
    while let Some(entry) = walk.next().await? {
        if !stays(&entry) {
            batch = batch.write(Write::Delete(entry.key));
        }
        if batch.writes().len() == DELETES {
            store.commit(std::mem::replace(&mut batch, Batch::new(partition))).await?;
        }
    }
    store.commit(batch).await
}

/// A walk through records in key order. It is no snapshot: what is written meanwhile may or may not be met.
pub struct Walk<'a> {
    store: &'a dyn Backend,
    prefix: Key,
    page: VecDeque<Entry>,
    after: Option<Key>,
    complete: bool,
}

impl std::fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl<'a> Walk<'a> {
    /// All records of a partition.
    #[must_use]
    pub fn of(store: &'a dyn Backend, partition: Partition) -> Self {
        Self::under(store, Key::whole(partition))
    }

    /// All records whose keys start with `prefix`.
    #[must_use]
    pub fn under(store: &'a dyn Backend, prefix: Key) -> Self {
        Self { store, prefix, page: VecDeque::new(), after: None, complete: false }
    }

    /// The next record.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn next(&mut self) -> Result<Option<Entry>, StoreError> {
        if self.page.is_empty() && !self.complete {
            // A store that answers from memory never waits, and others shall have their turn.
            tokio::task::yield_now().await;
            let entries = self.store.scan(&self.prefix, Page { after: self.after.take(), limit: PAGE }).await?;
            self.complete = entries.len() < PAGE;
            self.after = entries.last().map(|entry| entry.key.clone());
            self.page = entries.into();
        }
        Ok(self.page.pop_front())
    }
}
