//! What is a user's alone and goes and comes back with them: assignments, passwords and passkeys.

use jiff::Timestamp;

use super::Changes;
use crate::{
    domain::{TenantId, UserId},
    identity::{account, passkey},
    store::{
        Check, Entry, Key, StoreError, Write,
        records::{self, Store},
        walk::Walk,
    },
};

/// What proves who somebody is, if that is kept here.
pub(super) fn credentials(tenant: TenantId, user: UserId) -> Vec<Key> {
    vec![account::password(tenant, user).key().clone(), passkey::passkeys(tenant, user).key().clone()]
}

/// What belongs to a user, by the beginnings of its names.
fn belongings(tenant: TenantId, user: UserId) -> Vec<Key> {
    let mut prefixes = credentials(tenant, user);
    prefixes.push(records::assignments(tenant, user).key().clone());
    prefixes
}

async fn read(store: &Store, prefixes: Vec<Key>) -> Result<Vec<Entry>, StoreError> {
    let mut found = Vec::new();
    for prefix in prefixes {
        let mut walk = Walk::under(&**store.backend(), prefix);
        while let Some(entry) = walk.next().await? {
            found.push(entry);
        }
    }
    Ok(found)
}

/// Has all that belongs to a user end at `expires`; with `None`, it stays.
pub(super) async fn keep(
    store: &Store,
    changes: &mut Changes,
    (tenant, user): (TenantId, UserId),
    expires: Option<Timestamp>,
) -> Result<(), StoreError> {
    for Entry { key, value, version, .. } in read(store, belongings(tenant, user)).await? {
        let check = Check::Is(key.clone(), version);
        changes.write(|batch| batch.check(check).write(Write::Put { key, value, expires }));
    }
    Ok(())
}

/// Removes all that belongs to a user.
pub(super) async fn remove(store: &Store, changes: &mut Changes, tenant: TenantId, user: UserId) -> Result<(), StoreError> {
    remove_under(store, changes, belongings(tenant, user)).await
}

/// Removes what a user could prove who they are with.
pub(super) async fn remove_credentials(
    store: &Store,
    changes: &mut Changes,
    tenant: TenantId,
    user: UserId,
) -> Result<(), StoreError> {
    remove_under(store, changes, credentials(tenant, user)).await
}

async fn remove_under(store: &Store, changes: &mut Changes, prefixes: Vec<Key>) -> Result<(), StoreError> {
    for entry in read(store, prefixes).await? {
        changes.write(|batch| batch.write(Write::Delete(entry.key)));
    }
    Ok(())
}
