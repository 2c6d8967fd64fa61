//! What is known about tenants, kept in memory and dropped when it changes.
//!
//! A tenant's configuration (apps, federations, agreements, keys) is read once and shared as a snapshot; users never are.
//! The store's feed drops snapshots, so a change is seen as soon as the feed reports it, and nothing remembered outlives
//! a gap in the feed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::Foundation;
use crate::{
    domain::{
        AppId, Domain, FederationId, TenantId,
        app::App,
        federation::Federation,
        link::{Lookup, SignInLink, Sources, TenantName},
        tenant::Tenant,
        terms::Agreement,
    },
    error::Code,
    oidc::keys::KeySet,
    store::{
        Change, Key, Partition, StoreError,
        records::{self, Claim, TermsEpoch, kind},
    },
};

/// More snapshots than this are not kept; the next one starts over.
const LIMIT: usize = 10_000;

/// A tenant's configuration at one moment.
#[derive(Debug)]
pub struct TenantView {
    /// The tenant.
    pub tenant: Tenant,
    /// Its apps.
    pub apps: BTreeMap<AppId, App>,
    /// The home organisations that it trusts.
    pub federations: Vec<Federation>,
    /// Its terms.
    pub agreements: Vec<Agreement>,
    /// Its signing keys.
    pub keys: KeySet,
    /// The count of changes of terms that this snapshot includes.
    pub terms_epoch: TermsEpoch,
}

impl TenantView {
    /// The federation in use for an e-mail domain.
    #[must_use]
    pub fn federation_for(&self, domain: &Domain) -> Option<&Federation> {
        self.federations.iter().find(|federation| federation.enabled && federation.domains.contains(domain))
    }

    /// A federation by its id, in use or not.
    #[must_use]
    pub fn federation(&self, id: FederationId) -> Option<&Federation> {
        self.federations.iter().find(|federation| federation.id == id)
    }

    /// The terms epoch of sign-ins to `app`, or to the panel.
    #[must_use]
    pub fn epoch(&self, app: Option<AppId>) -> u64 {
        self.terms_epoch.of(app)
    }
}

/// The tenants of this server.
#[derive(Debug)]
pub struct Directory {
    foundation: Foundation,
    views: papaya::HashMap<TenantId, Arc<TenantView>>,
    claims: papaya::HashMap<Key, TenantId>,
    /// Counts what was dropped: a snapshot that was being read meanwhile is not kept.
    dropped: AtomicU64,
}

impl Directory {
    /// An empty memory over a store.
    #[must_use]
    pub fn new(foundation: Foundation) -> Self {
        Self { foundation, views: papaya::HashMap::new(), claims: papaya::HashMap::new(), dropped: AtomicU64::new(0) }
    }

    /// Forgets what a change concerns.
    pub fn forget(&self, change: &Change) {
        match change {
            Change::Current(_) => {}
            Change::Lost => {
                self.dropped.fetch_add(1, Ordering::SeqCst);
                self.views.pin().clear();
                self.claims.pin().clear();
            }
            Change::Keys(keys) => {
                for key in keys.iter() {
                    match (key.partition(), key.kind()) {
                        (Partition::Tenant(tenant), kind::TENANT..=kind::SIGNING_KEY | kind::TERMS_EPOCH) => {
                            self.dropped.fetch_add(1, Ordering::SeqCst);
                            self.views.pin().remove(&tenant);
                        }
                        (Partition::Global, _) => {
                            self.dropped.fetch_add(1, Ordering::SeqCst);
                            self.claims.pin().remove(key);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// The tenant with this id, if there is one.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn tenant(&self, id: TenantId) -> Result<Option<Arc<TenantView>>, StoreError> {
        if let Some(view) = self.views.pin().get(&id) {
            return Ok(Some(Arc::clone(view)));
        }
        let before = self.dropped.load(Ordering::SeqCst);
        let Some(view) = self.read(id).await?.map(Arc::new) else { return Ok(None) };
        if self.views.len() >= LIMIT {
            self.views.pin().clear();
        }
        self.views.pin().insert(id, Arc::clone(&view));
        if self.dropped.load(Ordering::SeqCst) != before {
            // Something changed while this was read: use it once, do not keep it.
            self.views.pin().remove(&id);
        }
        Ok(Some(view))
    }

    async fn read(&self, id: TenantId) -> Result<Option<TenantView>, StoreError> {
        let store = &self.foundation.store;
        // The epoch first: a snapshot may be newer than its epoch says, never older.
        let terms_epoch = store.get(&records::terms_epoch(id)).await?.map(|stored| stored.value).unwrap_or_default();
        let Some(tenant) = store.get(&records::tenant(id)).await? else { return Ok(None) };
        let apps = store.list(&records::apps(id)).await?;
        let federations = store.list(&records::federations(id)).await?;
        let agreements = store.list(&records::agreements(id)).await?;
        let keys = store.list(&records::signing_keys(id)).await?;
        let keys = keys.into_iter().map(|stored| stored.value).collect();
        let keys = KeySet::open(self.foundation.issuer(id), keys, &self.foundation.ring)
            .map_err(|error| StoreError::Corrupt(format!("signing keys of tenant {id}: {error}")))?;
        Ok(Some(TenantView {
            tenant: tenant.value,
            apps: apps.into_iter().map(|stored| (stored.value.id, stored.value)).collect(),
            federations: federations.into_iter().map(|stored| stored.value).collect(),
            agreements: agreements.into_iter().map(|stored| stored.value).collect(),
            keys,
            terms_epoch,
        }))
    }

    /// The tenant that a host stands for, if one has claimed it.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn host(&self, host: &str) -> Result<Option<TenantId>, StoreError> {
        self.claim(&records::host_claim(host)).await
    }

    async fn claim(&self, key: &records::RecordKey<Claim>) -> Result<Option<TenantId>, StoreError> {
        if let Some(tenant) = self.claims.pin().get(key.key()) {
            return Ok(Some(*tenant));
        }
        let before = self.dropped.load(Ordering::SeqCst);
        let Some(claim) = self.foundation.store.get(key).await? else { return Ok(None) };
        if self.claims.len() >= LIMIT {
            self.claims.pin().clear();
        }
        self.claims.pin().insert(key.key().clone(), claim.value.tenant);
        if self.dropped.load(Ordering::SeqCst) != before {
            self.claims.pin().remove(key.key());
        }
        Ok(Some(claim.value.tenant))
    }

    /// The tenant context of a link: the one tenant that all its sources agree on.
    ///
    /// # Errors
    /// The refusal of the link, or [`Code::StoreUnavailable`].
    pub async fn context(&self, sources: Sources<'_>) -> Result<Arc<TenantView>, Code> {
        let link = SignInLink::parse(sources)?;
        let mut answers = Vec::with_capacity(link.names().len());
        for name in link.names() {
            answers.push((name, self.look_up(name).await.map_err(unavailable)?));
        }
        let id = link.resolve(|name| answers.iter().find(|(known, _)| *known == name).map_or(Lookup::Unknown, |(_, a)| *a))?;
        self.tenant(id).await.map_err(unavailable)?.ok_or(Code::TenantUnknown)
    }

    async fn look_up(&self, name: &TenantName) -> Result<Lookup, StoreError> {
        Ok(match name {
            TenantName::Id(id) => self.tenant(*id).await?.map_or(Lookup::Unknown, |view| Lookup::Tenant(view.tenant.id)),
            TenantName::Domain(domain) => {
                let Some(id) = self.claim(&records::domain_claim(domain)).await? else { return Ok(Lookup::Unknown) };
                match self.tenant(id).await?.and_then(|view| view.tenant.domain(domain).map(|claim| claim.verified)) {
                    Some(true) => Lookup::Tenant(id),
                    Some(false) => Lookup::Unverified,
                    None => Lookup::Unknown,
                }
            }
        })
    }
}

/// Turns a store's failure into a refusal, and says in the log what it was.
pub(crate) fn unavailable(error: StoreError) -> Code {
    tracing::error!(%error, "the store failed");
    match error {
        StoreError::Conflict => Code::Changed,
        StoreError::Unavailable(_) => Code::StoreUnavailable,
        StoreError::Corrupt(_) => Code::Internal,
    }
}
