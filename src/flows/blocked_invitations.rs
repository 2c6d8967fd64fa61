//! Whether an address gets invitations by mail: its holder says so, having proven the mailbox.
//!
//! It is about the address, not about a guest: it holds for whoever is invited under it, also later.

use super::{Foundation, audited};
use crate::{
    domain::{
        EmailAddress, TenantId, UserId,
        audit::{Activity, Actor, Head},
    },
    error::Code,
    store::{
        Batch, Partition, Races, StoreError,
        records::{self, InvitationsBlocked, Stored, UserRef, take},
    },
};

/// Whether `address` gets none.
///
/// # Errors
/// When the store is unavailable.
pub async fn are_blocked(foundation: &Foundation, tenant: TenantId, address: &EmailAddress) -> Result<bool, Code> {
    let blocked = foundation.store.get(&records::invitations_blocked(tenant, address)).await;
    Ok(blocked.map_err(StoreError::refusal)?.is_some())
}

/// Stops invitations to `address`, or allows them again. Saying it twice is the same.
///
/// # Errors
/// When the store is unavailable.
pub async fn set(foundation: &Foundation, tenant: TenantId, address: &EmailAddress, blocked: bool) -> Result<(), Code> {
    let key = records::invitations_blocked(tenant, address);
    let keys = [key.key().clone(), records::audit_head(tenant).key().clone(), records::address(tenant, address).key().clone()];
    let mut races = Races::default();
    loop {
        let now = foundation.now();
        let mut entries = foundation.store.entries(&keys).await.map_err(StoreError::refusal)?.into_iter();
        let stored: Option<Stored<InvitationsBlocked>> = take(&mut entries).map_err(StoreError::refusal)?;
        let head: Option<Stored<Head>> = take(&mut entries).map_err(StoreError::refusal)?;
        let holder: Option<Stored<UserRef>> = take(&mut entries).map_err(StoreError::refusal)?;
        if stored.is_some() == blocked {
            return Ok(());
        }
        let user = match holder {
            Some(holder) => Some(holder.value.user),
            None => somebody_invited(foundation, tenant, address).await?,
        };
        let (actor, activity) = said(user, address, blocked);
        let batch = Batch::new(Partition::Tenant(tenant)).unchanged(&key, stored.as_ref());
        let batch = if blocked { batch.put(&key, &InvitationsBlocked { since: now }) } else { batch.delete(&key) };
        let batch = audited(batch, tenant, head.as_ref(), now, &actor, [activity]);
        if races.won(foundation.store.commit(batch).await).map_err(StoreError::refusal)? {
            return Ok(());
        }
    }
}

/// Somebody who was invited under an address that leads to nobody.
async fn somebody_invited(foundation: &Foundation, tenant: TenantId, address: &EmailAddress) -> Result<Option<UserId>, Code> {
    let invited = foundation.store.list(&records::all_invited(tenant, address)).await.map_err(StoreError::refusal)?;
    Ok(invited.first().map(|invited| invited.value.user))
}

/// What the audit log says. Whoever proved the mailbox need not be in the directory any more.
fn said(user: Option<UserId>, address: &EmailAddress, blocked: bool) -> (Actor, Activity) {
    match (user, blocked) {
        (Some(user), true) => (Actor::User(user), Activity::InvitationsBlocked { user }),
        (Some(user), false) => (Actor::User(user), Activity::InvitationsUnblocked { user }),
        (None, _) => {
            let what = if blocked { "stopped" } else { "allowed again" };
            let what = format!("invitations to {}, {what} by its holder", address.masked());
            (Actor::Server, Activity::Configured { what })
        }
    }
}
