//! Reading a whole store: which partitions it has, and every record of one, page by page.

use std::collections::VecDeque;

use bytes::Bytes;
use uuid::Uuid;

use super::{Backend, Entry, Key, Page, Partition, StoreError, records};
use crate::domain::TenantId;

/// Records of a page. A record has at most 1 MiB, so this bounds what is in memory at once.
const PAGE: usize = 128;

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
        Self::under(store, Key::from_parts(partition, Bytes::new()))
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
