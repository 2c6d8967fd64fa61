//! A store that lives and dies with the process: for tests, demonstrations, and as the yardstick of the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{Backend, Batch, Change, Check, Entry, FEED_CAPACITY, Key, Page, StoreError, Version, Watch, Write};
use crate::clock::Clock;

/// How many expired records a commit removes on its way.
const SWEEP_STEP: usize = 32;

/// Records in a sorted map behind a lock. Nothing here waits for anything but memory, so it never answers
/// [`StoreError::Unavailable`].
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
    feed: broadcast::Sender<Change>,
}

impl MemoryStore {
    /// An empty store that judges expiry by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: RwLock::default(), feed: broadcast::Sender::new(FEED_CAPACITY) }
    }

    /// A panic cannot leave the state half changed: what changes it does not panic.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backend for MemoryStore {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        let now = self.clock.now();
        let state = self.read();
        Ok(keys.iter().map(|key| state.live(key, now).map(|row| row.entry(key))).collect())
    }

    async fn scan(&self, prefix: &Key, page: Page) -> Result<Vec<Entry>, StoreError> {
        let now = self.clock.now();
        let start = match &page.after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        Ok(self
            .read()
            .rows
            .range((start, Bound::Unbounded))
            .take_while(|(key, _)| key.partition() == prefix.partition() && key.bytes().starts_with(prefix.bytes()))
            .filter(|(_, row)| row.is_live(now))
            .take(page.limit)
            .map(|(key, row)| row.entry(key))
            .collect())
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if !batch.checks().iter().all(|check| state.holds(check, now)) {
            return Err(StoreError::Conflict);
        }
        // While the lock is held, so that the feed has the order of the commits.
        let change = Change::of(&batch);
        state.apply(batch);
        state.sweep(now);
        if let Some(change) = change {
            // Nobody may be listening.
            let _ = self.feed.send(change);
        }
        Ok(())
    }

    fn watch(&self) -> Watch {
        Watch::in_process(self.feed.subscribe(), Arc::clone(&self.clock))
    }
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Key, Row>,
    /// Every row that expires, by when it does.
    deadlines: BTreeSet<(Timestamp, Key)>,
    last_version: u64,
}

impl State {
    fn live(&self, key: &Key, now: Timestamp) -> Option<&Row> {
        self.rows.get(key).filter(|row| row.is_live(now))
    }

    fn holds(&self, check: &Check, now: Timestamp) -> bool {
        match check {
            Check::Is(key, version) => self.live(key, now).is_some_and(|row| row.version == *version),
            Check::Absent(key) => self.live(key, now).is_none(),
        }
    }

    fn apply(&mut self, batch: Batch) {
        self.last_version += 1;
        for write in batch.writes {
            match write {
                Write::Put { key, value, expires } => {
                    self.remove(&key);
                    if let Some(deadline) = expires {
                        self.deadlines.insert((deadline, key.clone()));
                    }
                    self.rows.insert(key, Row { value, version: Version(self.last_version), expires });
                }
                Write::Delete(key) => self.remove(&key),
            }
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(Row { expires: Some(deadline), .. }) = self.rows.remove(key) {
            self.deadlines.remove(&(deadline, key.clone()));
        }
    }

    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEEP_STEP {
            match self.deadlines.pop_first() {
                Some((deadline, key)) if deadline <= now => {
                    self.rows.remove(&key);
                }
                Some(later) => {
                    self.deadlines.insert(later);
                    break;
                }
                None => break,
            }
        }
    }
}

struct Row {
    value: Bytes,
    version: Version,
    expires: Option<Timestamp>,
}

impl Row {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|deadline| now < deadline)
    }

    fn entry(&self, key: &Key) -> Entry {
        Entry { key: key.clone(), value: self.value.clone(), version: self.version, expires: self.expires }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{SharedStore, contract::contract_tests};

    async fn store(clock: Arc<dyn Clock>) -> (SharedStore, ()) {
        (Arc::new(MemoryStore::new(clock)), ())
    }

    contract_tests!(store);
}
