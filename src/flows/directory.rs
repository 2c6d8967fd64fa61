//! What is known about tenants, kept in memory and dropped when it changes.
//!
//! A tenant's configuration (apps, federations, agreements, keys) is read once and shared as a snapshot; users never are.
//! The store's feed drops snapshots, so a change is seen as soon as the feed reports it, and nothing remembered outlives
//! a gap in the feed. While the feed is silent nothing is answered from memory: a server that is cut off from it decides on
//! what the store says, or not at all.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Foundation, single_flight::SingleFlight};
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
    live::{Live, LiveState},
    oidc::keys::KeySet,
    store::{
        Change, Key, Partition, StoreError,
        records::{self, Claim, RecordKey, TermsEpoch, kind, take},
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

    /// Whether an identity of this issuer is (still) one that people sign in with: our own, or of a home organisation in use.
    #[must_use]
    pub fn trusts(&self, issuer: &str) -> bool {
        // As `Url` writes an issuer without a path, and as its own documents do.
        let of = |federation: &Federation| federation.issuer.as_str().trim_end_matches('/') == issuer.trim_end_matches('/');
        issuer == self.keys.issuer().as_str() || self.federations.iter().any(|federation| federation.enabled && of(federation))
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
    live: Arc<LiveState>,
    views: papaya::HashMap<TenantId, Arc<TenantView>>,
    claims: papaya::HashMap<Key, TenantId>,
    view_reads: SingleFlight<TenantId, Result<Option<Arc<TenantView>>, StoreError>>,
    claim_reads: SingleFlight<Key, Result<Option<TenantId>, StoreError>>,
    /// Counts what was dropped: a snapshot that was being read meanwhile is not kept.
    dropped: AtomicU64,
}

impl Directory {
    /// An empty memory over a store. It is believed while `live` is fresh, since then the feed that drops what has changed
    /// is in touch with the store.
    #[must_use]
    pub fn new(foundation: Foundation, live: Arc<LiveState>) -> Self {
        Self {
            foundation,
            live,
            views: papaya::HashMap::new(),
            claims: papaya::HashMap::new(),
            view_reads: SingleFlight::default(),
            claim_reads: SingleFlight::default(),
            dropped: AtomicU64::new(0),
        }
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
        let known = || self.remembered(&self.views, &id);
        match known() {
            Some(view) => Ok(Some(view)),
            None => self.view_reads.read(&id, || known().map(|view| Ok(Some(view))), || self.read_view(id)).await,
        }
    }

    /// What is in memory, unless the feed is silent: then nobody would have said that it has changed.
    fn remembered<K: Eq + std::hash::Hash, V: Clone>(&self, memory: &papaya::HashMap<K, V>, key: &K) -> Option<V> {
        self.live.fresh(self.foundation.now()).then(|| memory.pin().get(key).cloned()).flatten()
    }

    /// Keeps what was read, unless something was dropped since `before`: then it is used once.
    fn remember<K: Eq + std::hash::Hash + Clone, V>(&self, memory: &papaya::HashMap<K, V>, key: &K, value: V, before: u64) {
        if memory.len() >= LIMIT {
            memory.pin().clear();
        }
        memory.pin().insert(key.clone(), value);
        if self.dropped.load(Ordering::SeqCst) != before {
            memory.pin().remove(key);
        }
    }

    async fn read_view(&self, id: TenantId) -> Result<Option<Arc<TenantView>>, StoreError> {
        let before = self.dropped.load(Ordering::SeqCst);
        let Some(view) = self.read(id).await?.map(Arc::new) else { return Ok(None) };
        self.remember(&self.views, &id, Arc::clone(&view), before);
        Ok(Some(view))
    }

    async fn read(&self, id: TenantId) -> Result<Option<TenantView>, StoreError> {
        let store = &self.foundation.store;
        // The epoch first: a snapshot may be newer than its epoch says, never older.
        let known = [records::terms_epoch(id).key().clone(), records::tenant(id).key().clone()];
        let mut found = store.entries(&known).await?.into_iter();
        let terms_epoch = take::<TermsEpoch>(&mut found)?;
        let Some(tenant) = take::<Tenant>(&mut found)? else { return Ok(None) };
        let (apps, federations, agreements, keys) =
            (records::apps(id), records::federations(id), records::agreements(id), records::signing_keys(id));
        let (apps, federations, agreements, keys) =
            tokio::try_join!(store.list(&apps), store.list(&federations), store.list(&agreements), store.list(&keys))?;
        let keys = keys.into_iter().map(|stored| stored.value).collect();
        let keys = KeySet::open(self.foundation.issuer(id), keys, &self.foundation.ring)
            .map_err(|error| StoreError::Corrupt(format!("signing keys of tenant {id}: {error}")))?;
        Ok(Some(TenantView {
            tenant: tenant.value,
            apps: apps.into_iter().map(|stored| (stored.value.id, stored.value)).collect(),
            federations: federations.into_iter().map(|stored| stored.value).collect(),
            agreements: agreements.into_iter().map(|stored| stored.value).collect(),
            keys,
            terms_epoch: terms_epoch.map(|stored| stored.value).unwrap_or_default(),
        }))
    }

    /// The tenant that a host stands for, if one has claimed it.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn host(&self, host: &str) -> Result<Option<TenantId>, StoreError> {
        self.claim(&records::host_claim(host)).await
    }

    async fn claim(&self, claim: &RecordKey<Claim>) -> Result<Option<TenantId>, StoreError> {
        let known = || self.remembered(&self.claims, claim.key());
        match known() {
            Some(tenant) => Ok(Some(tenant)),
            None => {
                self.claim_reads.read(claim.key(), || known().map(|tenant| Ok(Some(tenant))), || self.read_claim(claim)).await
            }
        }
    }

    async fn read_claim(&self, claim: &RecordKey<Claim>) -> Result<Option<TenantId>, StoreError> {
        let before = self.dropped.load(Ordering::SeqCst);
        let Some(found) = self.foundation.store.get(claim).await? else { return Ok(None) };
        self.remember(&self.claims, claim.key(), found.value.tenant, before);
        Ok(Some(found.value.tenant))
    }

    /// The tenant context of a link: the one tenant that all its sources agree on.
    ///
    /// # Errors
    /// The refusal of the link, [`Code::TenantSuspended`], or [`Code::StoreUnavailable`].
    pub async fn context(&self, sources: Sources<'_>) -> Result<Arc<TenantView>, Code> {
        let view = self.context_even_suspended(sources).await?;
        if view.tenant.enabled { Ok(view) } else { Err(Code::TenantSuspended) }
    }

    /// The same, also for a tenant that is suspended: for what tells doors that it is, what tokens are verified with, and
    /// signing out.
    ///
    /// # Errors
    /// The refusal of the link, or [`Code::StoreUnavailable`].
    pub async fn context_even_suspended(&self, sources: Sources<'_>) -> Result<Arc<TenantView>, Code> {
        let link = SignInLink::parse(sources)?;
        let mut answers = Vec::with_capacity(link.names().len());
        for name in link.names() {
            answers.push((name, self.look_up(name).await.map_err(StoreError::refusal)?));
        }
        let id = link.resolve(|name| {
            let answer = answers.iter().find(|(known, _)| *known == name);
            answer.map_or(Lookup::Unknown, |(_, (lookup, _))| *lookup)
        })?;
        // What was just read for the answer is not read again.
        let mut views = answers.into_iter().filter_map(|(_, (_, view))| view);
        views.find(|view| view.tenant.id == id).ok_or(Code::TenantUnknown)
    }

    /// What a name stands for, and the tenant that was looked at to find out.
    async fn look_up(&self, name: &TenantName) -> Result<(Lookup, Option<Arc<TenantView>>), StoreError> {
        let (id, domain) = match name {
            TenantName::Id(id) => (Some(*id), None),
            TenantName::Domain(domain) => (self.claim(&records::domain_claim(domain)).await?, Some(domain)),
        };
        let view = match id {
            Some(id) => self.tenant(id).await?,
            None => None,
        };
        let lookup = match (&view, domain) {
            (None, _) => Lookup::Unknown,
            (Some(view), None) => Lookup::Tenant(view.tenant.id),
            (Some(view), Some(domain)) => match view.tenant.domain(domain).map(|claim| claim.verified) {
                Some(true) => Lookup::Tenant(view.tenant.id),
                Some(false) => Lookup::Unverified,
                None => Lookup::Unknown,
            },
        };
        Ok((lookup, view))
    }
}
