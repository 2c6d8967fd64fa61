//! What administrators change about the organisation itself.

use super::{Foundation, audited};
use crate::{
    domain::{
        EmailAddress, TenantId, WebUrl,
        audit::{Activity, Actor},
        tenant::Tenant,
    },
    error::Code,
    store::{
        Batch, Partition, Races, StoreError, Version,
        records::{self, Stored},
    },
};

/// What is to change of the privacy profile; `Some(None)` takes a property away.
#[derive(Clone, Debug, Default)]
pub struct PrivacyChange {
    /// The privacy statement.
    pub statement_url: Option<Option<WebUrl>>,
    /// Whom to write to about it.
    pub contact_email: Option<Option<EmailAddress>>,
}

/// Changes the privacy profile. A change that changes nothing is none.
///
/// # Errors
/// [`Code::TenantUnknown`], [`Code::VersionOutdated`], or the store's failure: then nothing has changed.
pub async fn change_privacy(
    foundation: &Foundation,
    tenant: TenantId,
    actor: &Actor,
    expected: Option<Version>,
    change: &PrivacyChange,
) -> Result<(), Code> {
    let key = records::tenant(tenant);
    let _turn = foundation.lanes.turn(tenant).await;
    let mut races = Races::default();
    loop {
        let head = foundation.audit_head(tenant).await.map_err(StoreError::refusal)?;
        let stored: Stored<Tenant> = foundation.store.get(&key).await.map_err(StoreError::refusal)?.ok_or(Code::TenantUnknown)?;
        if expected.is_some_and(|expected| expected != stored.version) {
            return Err(Code::VersionOutdated);
        }
        let mut wanted = stored.value.clone();
        if let Some(url) = &change.statement_url {
            wanted.privacy.statement_url.clone_from(url);
        }
        if let Some(contact) = &change.contact_email {
            wanted.privacy.contact_email.clone_from(contact);
        }
        if wanted == stored.value {
            return Ok(());
        }
        let batch = Batch::new(Partition::Tenant(tenant)).unchanged(&key, Some(&stored)).put(&key, &wanted);
        let activity = Activity::Configured { what: "privacy profile".into() };
        let batch = audited(batch, tenant, head.as_ref(), foundation.now(), actor, [activity]);
        if races.won(foundation.store.commit(batch).await).map_err(StoreError::refusal)? {
            return Ok(());
        }
    }
}
