//! What every flow stands on: the store, the key ring, time and randomness.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    clock::{Clock, Entropy},
    domain::{
        TenantId, WebUrl,
        audit::{Activity, Actor, Head},
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
}

impl std::fmt::Debug for Foundation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Foundation").field("ring", &self.ring).finish_non_exhaustive()
    }
}

/// How often a commit that lost a race is decided and tried again.
///
/// Every audited change of a tenant appends to one chain, so of many at once each round lets one through.
const ATTEMPTS: usize = 256;

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

/// Counts the races that a change has lost: `loop { read, decide; if races.won(commit)? { break } }`.
#[derive(Debug, Default)]
pub struct Races {
    lost: usize,
}

impl Races {
    /// Whether the commit went through. When somebody else was faster it did not, and the change is to be decided anew.
    ///
    /// # Errors
    /// When the store failed, or after many lost races.
    pub fn won(&mut self, committed: Result<(), StoreError>) -> Result<bool, StoreError> {
        match committed {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) if self.lost < ATTEMPTS => {
                self.lost += 1;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// Adds entries to a tenant's audit log in the same batch as what they tell of (checklist W-03).
pub fn audited(
    batch: Batch,
    tenant: TenantId,
    head: Option<&Stored<Head>>,
    at: Timestamp,
    actor: &Actor,
    activities: impl IntoIterator<Item = Activity>,
) -> Batch {
    let key = records::audit_head(tenant);
    let mut batch = batch.unchanged(&key, head);
    let mut end = head.map(|stored| stored.value.clone()).unwrap_or_default();
    for activity in activities {
        let (event, next) = end.append(tenant, at, actor.clone(), activity);
        batch = batch.put(&records::audit_event(tenant, event.sequence), &event);
        end = next;
    }
    batch.put(&key, &end)
}
