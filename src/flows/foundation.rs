//! What every flow stands on: the store, the key ring, time and randomness.

use std::sync::Arc;

use jiff::Timestamp;

use super::lane::Lanes;
use crate::{
    clock::{Clock, Entropy},
    dns::Resolver,
    domain::{
        TenantId, WebUrl,
        audit::{Actor, Head, Told},
    },
    oidc::Issuer,
    seal::KeyRing,
    store::{
        Batch, StoreError,
        records::{self, Store, Stored},
    },
};

/// What every flow stands on. Cheap to clone.
#[derive(Clone)]
pub struct Foundation {
    /// The records.
    pub store: Store,
    /// What seals.
    pub ring: Arc<KeyRing>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The origin under which browsers reach the server. Issuers and links start with it, never with a request's `Host`.
    pub public_url: WebUrl,
    /// Where changes of one directory wait for their turn.
    pub lanes: Arc<Lanes>,
    /// Looks up the records that verify domains.
    pub dns: Resolver,
}

impl std::fmt::Debug for Foundation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Foundation").field("ring", &self.ring).finish_non_exhaustive()
    }
}

impl Foundation {
    /// The issuer of a tenant.
    #[must_use]
    pub fn issuer(&self, tenant: TenantId) -> Issuer {
        Issuer::new(&self.public_url, tenant)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The end of a tenant's audit log, to be appended to.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn audit_head(&self, tenant: TenantId) -> Result<Option<Stored<Head>>, StoreError> {
        self.store.get(&records::audit_head(tenant)).await
    }
}

/// Adds entries to a tenant's audit log in the same batch as what they tell of (checklist W-03).
pub fn audited(
    batch: Batch,
    tenant: TenantId,
    head: Option<&Stored<Head>>,
    at: Timestamp,
    actor: &Actor,
    told: impl IntoIterator<Item = impl Into<Told>>,
) -> Batch {
    let key = records::audit_head(tenant);
    let mut batch = batch.unchanged(&key, head);
    let mut end = head.map(|stored| stored.value.clone()).unwrap_or_default();
    for told in told {
        let (event, next) = end.append(tenant, at, actor.clone(), told);
        batch = batch.put(&records::audit_event(tenant, event.sequence), &event);
        end = next;
    }
    batch.put(&key, &end)
}
