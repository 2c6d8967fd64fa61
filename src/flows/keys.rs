//! Signing keys of tenants: the first ones, and rotation.

use jiff::{SignedDuration, Timestamp};

use super::{Foundation, Races, audited};
use crate::{
    domain::{
        TenantId,
        app::SigningAlg,
        audit::{Activity, Actor},
    },
    oidc::keys::{KeyError, TenantKey, rotate},
    store::{Batch, Partition, StoreError, records},
};

/// The algorithms that every tenant has a key for.
const ALGS: [SigningAlg; 2] = [SigningAlg::RS256, SigningAlg::ES256];

/// The keys of a new tenant, in use at once.
///
/// # Errors
/// When the machine cannot make keys.
pub async fn first_keys(foundation: &Foundation, tenant: TenantId, now: Timestamp) -> Result<Vec<TenantKey>, StoreError> {
    make(foundation, tenant, now, now).await
}

/// Makes keys away from the threads that serve: an RSA key takes about a tenth of a second.
async fn make(
    foundation: &Foundation,
    tenant: TenantId,
    now: Timestamp,
    active_from: Timestamp,
) -> Result<Vec<TenantKey>, StoreError> {
    let (ring, entropy) = (foundation.ring.clone(), foundation.entropy.clone());
    let made = tokio::task::spawn_blocking(move || {
        let key = |alg: &SigningAlg| TenantKey::generate(tenant, *alg, &ring, &*entropy, now, active_from);
        ALGS.iter().map(key).collect::<Result<Vec<_>, KeyError>>()
    });
    let made = made.await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    made.map_err(|error| StoreError::Unavailable(format!("signing keys could not be made: {error}")))
}

/// How long an ID token is taken as a hint: as long as a session may last.
const ID_TOKEN_HINT_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// What a rotation did.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Rotated {
    /// From when on the new keys sign. They are published at once.
    pub active_from: Timestamp,
    /// The names of the new keys.
    pub kids: Vec<String>,
}

/// Makes new keys for a tenant. They are published at once and sign after `publish_ahead`, which gives everybody who
/// caches the JWKS time to fetch them; the old ones stay published until nothing they signed can be alive.
///
/// # Errors
/// When the store is unavailable or the machine cannot make keys.
pub async fn rotate_keys(
    foundation: &Foundation,
    tenant: TenantId,
    publish_ahead: SignedDuration,
) -> Result<Rotated, StoreError> {
    let now = foundation.now();
    let active_from = now.saturating_add(publish_ahead).unwrap_or(now);
    let made = make(foundation, tenant, now, active_from).await?;
    let mut races = Races::default();
    loop {
        let stored = foundation.store.list(&records::signing_keys(tenant)).await?;
        let known: Vec<_> = stored.iter().map(|stored| stored.value.clone()).collect();
        let mut batch = Batch::new(Partition::Tenant(tenant));
        for (kid, until) in ALGS.iter().flat_map(|alg| rotate(&known, *alg, now, publish_ahead, ID_TOKEN_HINT_LIFE).retired) {
            if let Some(old) = stored.iter().find(|stored| stored.value.kid() == kid) {
                let key = records::signing_key(tenant, &kid);
                let retired = TenantKey { published_until: Some(until), ..old.value.clone() };
                batch = batch.unchanged(&key, Some(old)).put(&key, &retired);
            }
        }
        for old in stored.iter().filter(|stored| stored.value.published_until.is_some_and(|until| until < now)) {
            batch = batch.delete(&records::signing_key(tenant, old.value.kid()));
        }
        for key in &made {
            let record = records::signing_key(tenant, key.kid());
            batch = batch.absent(&record).put(&record, key);
        }
        let head = foundation.audit_head(tenant).await?;
        let batch = audited(batch, tenant, head.as_ref(), now, &Actor::Operator, [Activity::KeysRotated]);
        let kids = made.iter().map(|key| key.kid().to_owned()).collect();
        if races.won(foundation.store.commit(batch).await)? {
            return Ok(Rotated { active_from, kids });
        }
    }
}
