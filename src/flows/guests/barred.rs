//! Who was blocked and is deleted: a block outlives its user, whoever deleted them, as long as they can be restored.
//!
//! A person who was blocked may leave by themselves. Were that the end of the block, anybody who may invite could let them in
//! again; so the addresses and the identity that they had are marked, and lead in anew only by who might have unblocked them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Administration, Changes};
use crate::{
    domain::{
        AppId, EmailAddress, TenantId, UserId,
        app::App,
        audit::Actor,
        permission::Permission,
        user::{User, VerifiedIdentity},
    },
    error::Code,
    store::{
        StoreError,
        records::{self, Barred, RecordKey, Store},
    },
};

/// Whether `actor` may let in again who was blocked: the operator, and apps that may unblock.
pub(in crate::flows) fn may_let_in(actor: &Actor, apps: &BTreeMap<AppId, App>) -> bool {
    match actor {
        Actor::Operator => true,
        Actor::App(app) => apps
            .get(app)
            .is_some_and(|app| app.enabled && app.own_permissions().contains(Permission::UserEnableDisableAccountAll)),
        Actor::User(_) | Actor::Server => false,
    }
}

/// Where it would be marked that somebody with this proof, who has shown that `mailbox` is theirs, too, was blocked.
pub(in crate::flows) fn marks_of_proof(
    tenant: TenantId,
    proof: &VerifiedIdentity,
    mailbox: Option<&EmailAddress>,
) -> Vec<RecordKey<Barred>> {
    let addresses = proof.email.as_ref().map(|email| email.address()).into_iter().chain(mailbox);
    let identity = records::barred_identity(tenant, &proof.identity);
    std::iter::once(identity).chain(addresses.map(|address| records::barred_address(tenant, address))).collect()
}

fn marks_of_user(tenant: TenantId, user: &User) -> Vec<RecordKey<Barred>> {
    let identity = user.identity().map(|identity| records::barred_identity(tenant, identity));
    user.addresses().map(|address| records::barred_address(tenant, address)).chain(identity).collect()
}

/// Marks what a deleted user had, if they were blocked, until they can no longer be restored.
pub(super) fn bar(changes: &mut Changes, tenant: TenantId, user: &User, gone: Timestamp) {
    if user.account_enabled {
        return;
    }
    for mark in marks_of_user(tenant, user) {
        changes.write(|batch| batch.put_until(&mark, &Barred { user: user.id }, Some(gone)));
    }
}

/// Takes the marks of a deleted user away, who is restored or gone for good.
pub(super) async fn unbar(store: &Store, changes: &mut Changes, tenant: TenantId, user: &User) -> Result<(), StoreError> {
    let marks = marks_of_user(tenant, user);
    let found = store.get_all(&marks).await?;
    for (mark, _) in marks.iter().zip(found).filter(|(_, found)| is_of(found.as_ref().map(|found| &found.value), user.id)) {
        changes.write(|batch| batch.delete(mark));
    }
    Ok(())
}

fn is_of(mark: Option<&Barred>, user: UserId) -> bool {
    mark.is_some_and(|mark| mark.user == user)
}

impl Administration<'_> {
    /// Whether a deleted user may have had an address who was blocked.
    ///
    /// # Errors
    /// [`Code::InviteeBarred`] when it is so, and who acts may not let them in again.
    pub(super) async fn check_bar(&self, address: &EmailAddress) -> Result<bool, Code> {
        let mark = records::barred_address(self.tenant(), address);
        let barred = self.foundation.store.get(&mark).await.map_err(StoreError::refusal)?.is_some();
        if barred && !may_let_in(self.actor, &self.view.apps) { Err(Code::InviteeBarred) } else { Ok(barred) }
    }
}
