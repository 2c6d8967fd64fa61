//! Passwords that are declared, by `apply`.

use super::Foundation;
use crate::{
    domain::{TenantId, UserId},
    identity::account::{self, PasswordError, PasswordRecord},
    secret::Secret,
    store::{
        Batch, StoreError,
        records::{RecordKey, Stored},
    },
};

/// A password that has to be written.
pub struct Change {
    key: RecordKey<PasswordRecord>,
    read: Option<Stored<PasswordRecord>>,
    record: PasswordRecord,
}

impl Change {
    /// Adds it to a batch.
    pub fn write(self, batch: Batch) -> Batch {
        batch.unchanged(&self.key, self.read.as_ref()).put(&self.key, &self.record)
    }
}

/// Why a declared password cannot be taken.
#[derive(Debug)]
pub enum DeclareError {
    /// It is too weak.
    Weak(PasswordError),
    /// The store did not answer.
    Store(StoreError),
}

/// The change that makes `password` the user's, or `None` when it is already.
///
/// # Errors
/// When it is too weak, or the store is unavailable.
pub async fn declared(
    foundation: &Foundation,
    tenant: TenantId,
    user: UserId,
    password: &Secret,
) -> Result<Option<Change>, DeclareError> {
    let key = account::password(tenant, user);
    let read = foundation.store.get(&key).await.map_err(DeclareError::Store)?;
    if let Some(stored) = &read
        && stored.value.matches(password).await
    {
        return Ok(None);
    }
    let record = PasswordRecord::make(password, &*foundation.entropy).await.map_err(DeclareError::Weak)?;
    Ok(Some(Change { key, read, record }))
}
