//! Types on top of keys: the names of records of a type, and a store that reads them as such.

use std::{marker::PhantomData, sync::Arc};

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    domain::TenantId,
    store::{
        Backend, Batch, Check, Entry, Key, Partition, SharedStore, Snapshots, StoreError, Version, Watch, Write, walk::Walk,
    },
};

/// The name of a record of type `T`.
#[derive(Debug)]
pub struct RecordKey<T> {
    key: Key,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for RecordKey<T> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), of: PhantomData }
    }
}

impl<T> RecordKey<T> {
    /// The record `segments` of `kind` in a tenant. For the modules that own a kind; everybody else uses their functions.
    #[must_use]
    pub fn in_tenant(tenant: TenantId, kind: u8, segments: &[&[u8]]) -> Self {
        Self { key: Key::new(Partition::Tenant(tenant), kind, segments), of: PhantomData }
    }

    /// The global record `segments` of `kind`.
    #[must_use]
    pub fn global(kind: u8, segments: &[&[u8]]) -> Self {
        Self { key: Key::new(Partition::Global, kind, segments), of: PhantomData }
    }

    /// The untyped key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }
}

/// A record as it was read.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    /// What it says.
    pub value: T,
    /// The write that made it.
    pub version: Version,
    /// Its name.
    pub key: Key,
}

/// Puts typed writes and checks into a batch.
impl Batch {
    /// Writes a record for good.
    pub fn put<T: Serialize>(self, key: &RecordKey<T>, value: &T) -> Self {
        self.put_until(key, value, None)
    }

    /// Writes a record that is absent from `expires` on.
    pub fn put_until<T: Serialize>(self, key: &RecordKey<T>, value: &T, expires: Option<Timestamp>) -> Self {
        let value = serde_json::to_vec(value).expect("records are plain data").into();
        self.write(Write::Put { key: key.key.clone(), value, expires })
    }

    /// Deletes a record.
    pub fn delete<T>(self, key: &RecordKey<T>) -> Self {
        self.write(Write::Delete(key.key.clone()))
    }

    /// Demands that a record is as it was read, or still absent when there was none.
    pub fn unchanged<T>(self, key: &RecordKey<T>, read: Option<&Stored<T>>) -> Self {
        match read {
            Some(stored) => self.check(Check::Is(key.key.clone(), stored.version)),
            None => self.absent(key),
        }
    }

    /// Demands that there is no such record.
    pub fn absent<T>(self, key: &RecordKey<T>) -> Self {
        self.check(Check::Absent(key.key.clone()))
    }
}

/// A store of typed records.
#[derive(Clone)]
pub struct Store {
    backend: SharedStore,
    snapshots: Option<Snapshots>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Types on top of `backend`.
    #[must_use]
    pub fn new(backend: SharedStore) -> Self {
        Self { backend, snapshots: None }
    }

    /// The same with what takes snapshots of it.
    #[must_use]
    pub fn with_snapshots(self, snapshots: Option<Snapshots>) -> Self {
        Self { snapshots, ..self }
    }

    /// What is stored at this moment, to be read in peace; `None` where the store cannot do that.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub fn snapshot(&self) -> Result<Option<SharedStore>, StoreError> {
        self.snapshots.as_ref().map(|take| take()).transpose()
    }

    /// The backend itself.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Reads one record.
    ///
    /// # Errors
    /// When the store is unavailable or the record is unreadable.
    pub async fn get<T: DeserializeOwned>(&self, key: &RecordKey<T>) -> Result<Option<Stored<T>>, StoreError> {
        Ok(self.get_all(std::slice::from_ref(key)).await?.pop().flatten())
    }

    /// Reads several records of one type in one round trip.
    ///
    /// # Errors
    /// When the store is unavailable or a record is unreadable.
    pub async fn get_all<T: DeserializeOwned>(&self, keys: &[RecordKey<T>]) -> Result<Vec<Option<Stored<T>>>, StoreError> {
        let keys: Vec<_> = keys.iter().map(|key| key.key.clone()).collect();
        self.entries(&keys).await?.into_iter().map(|entry| entry.map(decode).transpose()).collect()
    }

    /// Reads records of several types in one round trip; take them out with [`take`].
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn entries(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.backend.get(keys).await
    }

    /// Reads all records under a prefix, page by page. For small collections (apps, agreements, a user's assignments).
    ///
    /// # Errors
    /// When the store is unavailable or a record is unreadable.
    pub async fn list<T: DeserializeOwned>(&self, prefix: &RecordKey<T>) -> Result<Vec<Stored<T>>, StoreError> {
        let mut found = Vec::new();
        let mut walk = Walk::under(&*self.backend, prefix.key.clone());
        while let Some(entry) = walk.next().await? {
            found.push(decode(entry)?);
        }
        Ok(found)
    }

    /// Applies a batch.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a check did not hold; [`StoreError::Unavailable`] when the store cannot be reached.
    pub async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.backend.commit(batch).await
    }

    /// The feed of changes.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.backend.watch()
    }
}

/// Reads an entry as the record it is.
///
/// # Errors
/// When its bytes are no `T`.
pub fn decode<T: DeserializeOwned>(entry: Entry) -> Result<Stored<T>, StoreError> {
    let value = serde_json::from_slice(&entry.value)
        .map_err(|error| StoreError::Corrupt(format!("kind {}: {error}", entry.key.kind())))?;
    Ok(Stored { value, version: entry.version, key: entry.key })
}

/// Takes the next answer of [`Store::entries`] as the record it is; `None` when there is no such record.
///
/// # Errors
/// When its bytes are no `T`.
pub fn take<T: DeserializeOwned>(entries: &mut impl Iterator<Item = Option<Entry>>) -> Result<Option<Stored<T>>, StoreError> {
    entries.next().flatten().map(decode).transpose()
}
