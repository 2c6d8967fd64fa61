//! A store in memory that takes down every round trip.

use std::sync::{Arc, Mutex};

use crate::{
    clock::Clock,
    store::{Backend, Batch, Entry, Key, Page, StoreError, Watch, memory::MemoryStore},
};

/// Counts calls: each of them is a round trip to a store that is not in this process, however many keys are in it.
pub(super) struct Counted {
    store: MemoryStore,
    calls: Mutex<Vec<String>>,
}

impl Counted {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { store: MemoryStore::new(clock), calls: Mutex::default() }
    }

    /// The calls since this was asked last, with the kinds of the records that they were about.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    async fn count<'a>(&self, call: &str, keys: impl Iterator<Item = &'a Key>) {
        let kinds: Vec<_> = keys.map(Key::kind).collect();
        self.calls.lock().unwrap().push(format!("{call} {kinds:?}"));
        // As over a network: others go on meanwhile.
        tokio::task::yield_now().await;
    }
}

#[async_trait::async_trait]
impl Backend for Counted {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.count("get", keys.iter()).await;
        self.store.get(keys).await
    }

    async fn scan(&self, prefix: &Key, page: Page) -> Result<Vec<Entry>, StoreError> {
        self.count("scan", std::iter::once(prefix)).await;
        self.store.scan(prefix, page).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.count("commit", batch.writes().iter().map(crate::store::Write::key)).await;
        self.store.commit(batch).await
    }

    fn watch(&self) -> Watch {
        self.store.watch()
    }
}
