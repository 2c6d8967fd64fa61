//! Stored documents, put together from their chunks and checked against their names.

use super::{Foundation, directory::unavailable};
use crate::{
    domain::{TenantId, terms::DocumentId},
    error::Code,
    store::{StoreError, records},
};

/// The bytes of a document.
///
/// # Errors
/// When it is not there whole, or the store is unavailable.
pub async fn bytes(foundation: &Foundation, tenant: TenantId, id: &DocumentId) -> Result<Vec<u8>, Code> {
    let damaged = || unavailable(StoreError::Corrupt(format!("document {id} of tenant {tenant} is not whole")));
    let store = &foundation.store;
    let info = store.get(&records::document(tenant, id)).await.map_err(unavailable)?.ok_or_else(damaged)?.value;
    let keys: Vec<_> = (0..info.chunks).map(|index| records::document_chunk(tenant, id, index)).collect();
    let mut bytes = Vec::new();
    for chunk in store.entries(&keys).await.map_err(unavailable)? {
        bytes.extend_from_slice(&chunk.ok_or_else(damaged)?.value);
    }
    // What is shown is what is accepted: exactly the bytes that the name stands for.
    if DocumentId::of(&bytes) == *id { Ok(bytes) } else { Err(damaged()) }
}

/// The text of a document that is text.
///
/// # Errors
/// When it is not there whole or not UTF-8, or the store is unavailable.
pub async fn text(foundation: &Foundation, tenant: TenantId, id: &DocumentId) -> Result<String, Code> {
    String::from_utf8(bytes(foundation, tenant, id).await?).map_err(|_| Code::Internal)
}
