//! The store as it is at one moment, while others go on writing.

use std::sync::Arc;

use async_trait::async_trait;
use redb::{Database, ReadableDatabase};
use tokio::sync::broadcast;

use super::{
    EmbeddedStore,
    tables::{Rows, storage_error},
};
use crate::{
    clock::Clock,
    store::{Backend, Batch, Change, Entry, Key, Page, SharedStore, StoreError, Watch},
};

/// One read transaction. As long as it is there, what is deleted or replaced keeps its place in the file, which grows.
struct Snapshot {
    rows: Rows,
    clock: Arc<dyn Clock>,
    /// Nothing is ever sent: nothing ever changes.
    feed: broadcast::Sender<Change>,
    /// Closes the file after the transaction has ended.
    _db: Arc<Database>,
}

impl EmbeddedStore {
    /// What is stored now, to be read in peace. Expiry is judged as of now, too.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn snapshot(&self) -> Result<SharedStore, StoreError> {
        let transaction = self.db.begin_read().map_err(storage_error)?;
        let rows = Rows::open(&transaction, self.clock.now())?;
        let (clock, feed) = (Arc::clone(&self.clock), broadcast::Sender::new(1));
        Ok(Arc::new(Snapshot { rows, clock, feed, _db: Arc::clone(&self.db) }))
    }
}

#[async_trait]
impl Backend for Snapshot {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        keys.iter().map(|key| self.rows.get(key)).collect()
    }

    async fn scan(&self, prefix: &Key, page: Page) -> Result<Vec<Entry>, StoreError> {
        self.rows.scan(prefix, &page)
    }

    async fn commit(&self, _: Batch) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("a snapshot cannot be written to".into()))
    }

    fn watch(&self) -> Watch {
        Watch::in_process(self.feed.subscribe(), Arc::clone(&self.clock))
    }
}
