//! Stored documents, put together from their chunks and checked against their names.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::{
    domain::{TenantId, terms::DocumentId},
    error::Code,
    store::{
        StoreError,
        records::{self, DocumentInfo, Store, take},
    },
};

/// Larger documents are not kept in memory.
const LARGE: usize = 256 << 10;
/// How much is kept in all, in bytes; the next one starts over.
const KEPT: usize = 8 << 20;

/// The documents of this server's tenants. Small ones are kept in memory once they were read: a document's name is the hash
/// of its bytes, so what is kept can become useless but never wrong. Who may see it is the caller's to know.
#[derive(Debug)]
pub struct Documents {
    store: Store,
    kept: papaya::HashMap<(TenantId, DocumentId), Bytes>,
    bytes: AtomicUsize,
}

impl Documents {
    /// The documents in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, kept: papaya::HashMap::new(), bytes: AtomicUsize::new(0) }
    }

    /// The bytes of a document.
    ///
    /// # Errors
    /// When it is not there whole, or the store is unavailable.
    pub async fn bytes(&self, tenant: TenantId, id: &DocumentId) -> Result<Bytes, Code> {
        if let Some(kept) = self.kept.pin().get(&(tenant, *id)) {
            return Ok(kept.clone());
        }
        let bytes = read(&self.store, tenant, id).await.map_err(StoreError::refusal)?;
        // Boxed, so that no more is kept than is counted.
        let bytes = Bytes::from(bytes.into_boxed_slice());
        if bytes.len() <= LARGE {
            if self.bytes.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len() > KEPT {
                self.kept.pin().clear();
                self.bytes.store(bytes.len(), Ordering::Relaxed);
            }
            self.kept.pin().insert((tenant, *id), bytes.clone());
        }
        Ok(bytes)
    }

    /// The text of a document that is text.
    ///
    /// # Errors
    /// When it is not there whole or not UTF-8, or the store is unavailable.
    pub async fn text(&self, tenant: TenantId, id: &DocumentId) -> Result<String, Code> {
        String::from_utf8(self.bytes(tenant, id).await?.into()).map_err(|_| Code::Internal)
    }
}

async fn read(store: &Store, tenant: TenantId, id: &DocumentId) -> Result<Vec<u8>, StoreError> {
    let damaged = || StoreError::Corrupt(format!("document {id} of tenant {tenant} is not whole"));
    let chunk = |index| records::document_chunk(tenant, id, index);
    // Most are one chunk long: what it is and its beginning in one round trip.
    let mut found = store.entries(&[records::document(tenant, id).key().clone(), chunk(0)]).await?.into_iter();
    let info: DocumentInfo = take(&mut found)?.ok_or_else(damaged)?.value;
    let mut chunks: Vec<_> = found.take(info.chunks as usize).collect();
    if info.chunks > 1 {
        chunks.extend(store.entries(&(1..info.chunks).map(chunk).collect::<Vec<_>>()).await?);
    }
    let mut bytes = Vec::new();
    for chunk in chunks {
        bytes.extend_from_slice(&chunk.ok_or_else(damaged)?.value);
    }
    // What is shown is what is accepted: exactly the bytes that the name stands for.
    if DocumentId::of(&bytes) == *id { Ok(bytes) } else { Err(damaged()) }
}
