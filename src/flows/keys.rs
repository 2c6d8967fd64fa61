//! Signing keys of tenants: the first ones, and rotation.

use jiff::{SignedDuration, Timestamp};

use super::{Foundation, audited};
use crate::{
    domain::{
        TenantId,
        app::SigningAlg,
        audit::{Activity, Actor},
    },
    oidc::keys::{KeyError, TenantKey, rotate},
    store::{Batch, Partition, Races, StoreError, records},
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{
        clock::Clock,
        flows::apply::tests::{House, contoso, tenant},
        oidc::keys::{KeySet, PUBLISH_AHEAD},
    };

    impl House {
        async fn keys(&self) -> KeySet {
            let records = self.foundation.store.list(&records::signing_keys(tenant())).await.unwrap();
            let records = records.into_iter().map(|stored| stored.value).collect();
            KeySet::open(self.foundation.issuer(tenant()), records, &self.foundation.ring).unwrap()
        }

        /// The names that the JWKS has now, and the one that signs with ES256.
        async fn published(&self) -> (BTreeSet<String>, String) {
            let (keys, now) = (self.keys().await, self.clock.now());
            let jwks = serde_json::to_value(keys.jwks(now)).unwrap();
            let kids = jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect();
            (kids, keys.signer(SigningAlg::ES256, now).expect("a key that signs").kid().to_owned())
        }
    }

    /// S-20: through three rotations, hour by hour, nobody who fetched the JWKS within its `max-age` meets a signature that
    /// they cannot verify, and nothing that was signed outlives its key.
    #[tokio::test]
    async fn s_20_keys_are_published_first_sign_later_and_stay_until_nothing_they_signed_is_alive() {
        let house = House::new();
        house.apply(&contoso("")).await;
        let (_, first) = house.published().await;
        let (mut seen, mut signed) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, i64>::new());
        let mut signers = BTreeSet::new();
        for hour in 0..24 * 8_i64 {
            if [24, 40, 100].contains(&hour) {
                let rotated = rotate_keys(&house.foundation, tenant(), PUBLISH_AHEAD).await.unwrap();
                assert_eq!(rotated.active_from, house.clock.now() + PUBLISH_AHEAD);
                assert_eq!(rotated.kids.len(), 2);
            }
            let (published, signer) = house.published().await;
            for kid in &published {
                seen.entry(kid.clone()).or_insert(hour);
            }
            assert!(signer == first || hour - seen[&signer] >= 24, "published before it signed: hour {hour}");
            signed.insert(signer.clone(), hour);
            for (kid, last) in &signed {
                assert!(hour - last > 24 || published.contains(kid), "hour {hour}: {kid} signed at {last} and is gone");
            }
            signers.insert(signer);
            house.clock.advance(3600);
        }
        assert_eq!(signers.len(), 4, "each of the four signed for a while");
        let (published, _) = house.published().await;
        assert_eq!(published.len(), 2, "the old ones are gone: {published:?}");
        rotate_keys(&house.foundation, tenant(), PUBLISH_AHEAD).await.unwrap();
        let stored = house.foundation.store.list(&records::signing_keys(tenant())).await.unwrap();
        assert_eq!(stored.len(), 4, "what is no longer published is deleted by the next rotation");
    }

    #[tokio::test]
    async fn rotations_at_once_add_up_and_are_audited() {
        let house = House::new();
        house.apply(&contoso("")).await;
        let rotations = (0..3).map(|_| rotate_keys(&house.foundation, tenant(), SignedDuration::ZERO));
        for rotated in futures_util::future::join_all(rotations).await {
            rotated.unwrap();
        }
        let (published, _) = house.published().await;
        assert_eq!(published.len(), 8);
        let events = house.foundation.store.list(&records::audit_events(tenant())).await.unwrap();
        let rotations = events.iter().filter(|event| event.value.activity == Activity::KeysRotated).count();
        assert_eq!(rotations, 3);
    }
}
