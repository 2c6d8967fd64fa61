//! Who was blocked and is deleted: a block outlives its user, whoever deleted them, as long as they can be restored.
//!
//! A person who was blocked may leave by themselves. Were that the end of the block, anybody who may invite could let them in
//! again; so the addresses and the identity that they had are marked, and lead in anew only by who might have unblocked them.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::{Administration, Changes};
use crate::{
    domain::{
        AppId, EmailAddress, TenantId,
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

/// The marks of everybody who was blocked and had this proof, or `mailbox`, which was shown to be theirs, too. Prefixes: see
/// [`is_barred`].
pub(in crate::flows) fn marks_of_proof(
    tenant: TenantId,
    proof: &VerifiedIdentity,
    mailbox: Option<&EmailAddress>,
) -> Vec<RecordKey<Barred>> {
    let addresses = proof.email.as_ref().map(|email| email.address()).into_iter().chain(mailbox);
    let identity = records::all_barred_identity(tenant, &proof.identity);
    std::iter::once(identity).chain(addresses.map(|address| records::all_barred_address(tenant, address))).collect()
}

/// Whether there is any of these marks.
///
/// # Errors
/// When the store is unavailable.
pub(in crate::flows) async fn is_barred(store: &Store, marks: &[RecordKey<Barred>]) -> Result<bool, StoreError> {
    Ok(try_join_all(marks.iter().map(|marks| store.list(marks))).await?.into_iter().any(|found| !found.is_empty()))
}

/// The marks that a deleted user leaves: one of their own for each address and for the identity, since others may have had the
/// same. None where they were not blocked.
pub(in crate::flows) fn marks_of_deleted(tenant: TenantId, user: &User) -> Vec<RecordKey<Barred>> {
    if user.account_enabled {
        return Vec::new();
    }
    let identity = user.identity().map(|identity| records::barred_identity(tenant, identity, user.id));
    user.addresses().map(|address| records::barred_address(tenant, address, user.id)).chain(identity).collect()
}

/// Marks what a deleted user had, if they were blocked, until they can no longer be restored.
pub(super) fn bar(changes: &mut Changes, tenant: TenantId, user: &User, gone: Timestamp) {
    for mark in marks_of_deleted(tenant, user) {
        changes.write(|batch| batch.put_until(&mark, &Barred { user: user.id }, Some(gone)));
    }
}

/// Takes the marks of a deleted user away, who is restored or gone for good.
pub(super) fn unbar(changes: &mut Changes, tenant: TenantId, user: &User) {
    for mark in marks_of_deleted(tenant, user) {
        changes.write(|batch| batch.delete(&mark));
    }
}

impl Administration<'_> {
    /// Whether who acts may invite an address that a deleted user may have had who was blocked.
    pub(super) async fn check_bar(&self, address: &EmailAddress) -> Result<(), Code> {
        if may_let_in(self.actor, &self.view.apps) {
            return Ok(());
        }
        let marks = [records::all_barred_address(self.tenant(), address)];
        let barred = is_barred(&self.foundation.store, &marks).await.map_err(StoreError::refusal)?;
        if barred { Err(Code::InviteeBarred) } else { Ok(()) }
    }
}
