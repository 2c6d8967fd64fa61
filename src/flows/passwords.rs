//! Passwords that are declared, by `apply`.

use super::Foundation;
use crate::{
    domain::{TenantId, UserId},
    error::Code,
    identity::account::{self, Accounts, PasswordError, PasswordRecord},
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
    /// It is too weak, or could not be computed.
    Refused(PasswordError),
    /// The store did not answer.
    Store(StoreError),
}

impl From<Code> for DeclareError {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
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
    let Foundation { store, ring, clock, entropy, .. } = foundation.clone();
    let accounts = Accounts::new(store, ring, clock, entropy);
    let key = account::password(tenant, user);
    let read = foundation.store.get(&key).await.map_err(DeclareError::Store)?;
    if let Some(stored) = &read
        && accounts.matches(&stored.value, password).await?
    {
        return Ok(None);
    }
    let record = accounts.hash(password, &[]).await.map_err(DeclareError::Refused)?;
    Ok(Some(Change { key, read, record }))
}
