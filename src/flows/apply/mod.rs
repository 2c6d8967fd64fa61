//! `apply`: brings the store to a declared state, or says what it would change. Doing it twice changes nothing.
//!
//! Names that are unique on the whole server (domains, hosts) are claimed first, then each tenant is changed in one
//! commit; both are idempotent, so an apply that was cut off is simply run again.

mod plan;
pub mod spec;

use serde::{Deserialize, Serialize};

use super::{Foundation, Races};
use crate::{
    domain::{TenantId, tenant::Tenant, terms::DocumentId, terms::MediaType},
    store::{
        Batch, Partition, StoreError, Write,
        records::{self, Claim, DocumentInfo, TenantListed},
    },
};
use plan::TenantPlan;
use spec::{Desired, Document, TenantSpec};

/// Documents are stored in pieces of this many bytes.
const CHUNK: usize = 256 << 10;

/// What an apply did, or would do.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// One line a change, such as `+ app Expenses`; empty when everything is as declared.
    pub changes: Vec<String>,
    /// Secrets that were made and are shown this once.
    pub secrets: Vec<NewSecret>,
}

/// A client secret that was made for an app.
#[derive(Serialize, Deserialize)]
pub struct NewSecret {
    /// The tenant's name.
    pub tenant: String,
    /// The app's name.
    pub app: String,
    /// The app's id.
    pub client_id: String,
    /// The secret.
    pub client_secret: String,
}

impl std::fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSecret").field("app", &self.app).finish_non_exhaustive()
    }
}

/// Why an apply was refused.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The declared state is not possible.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<String> for ApplyError {
    fn from(problem: String) -> Self {
        Self::Refused(vec![problem])
    }
}

/// Applies `desired`, or with `dry_run` only says what it would change.
///
/// # Errors
/// When the declared state is impossible (all problems are named), or the store is unavailable.
pub async fn apply(foundation: &Foundation, desired: &Desired, dry_run: bool) -> Result<Report, ApplyError> {
    let mut report = Report::default();
    for spec in &desired.tenants {
        let id = tenant_id(foundation, spec).await?;
        let documents = documents(desired, spec)?;
        if !dry_run {
            claim(foundation, id, spec).await?;
            for document in &documents {
                store_document(foundation, id, document).await?;
            }
        } else {
            claims_in_the_way(foundation, id, spec).await?;
        }
        let mut races = Races::default();
        let lines = loop {
            let (batch, lines) = TenantPlan::make(foundation, id, desired, spec).await?.finish();
            if dry_run || races.won(foundation.store.commit(batch).await)? {
                break lines;
            }
        };
        report.changes.extend(lines.changes);
        report.secrets.extend(lines.secrets);
        if !dry_run {
            release(foundation, id, lines.before.as_ref(), spec).await?;
        }
    }
    if dry_run {
        report.secrets.clear();
    }
    Ok(report)
}

async fn tenant_id(foundation: &Foundation, spec: &TenantSpec) -> Result<TenantId, ApplyError> {
    let first = spec.domains.first().ok_or_else(|| format!("tenant {}: a tenant has at least one domain", spec.display_name))?;
    let claimed = foundation.store.get(&records::domain_claim(&first.name)).await?.map(|claim| claim.value.tenant);
    match (spec.id, claimed) {
        (Some(id), Some(owner)) if id != owner => Err(format!("{}: the domain belongs to another tenant", first.name).into()),
        (Some(id), _) | (None, Some(id)) => Ok(id),
        (None, None) => Ok(TenantId::random(&*foundation.entropy)),
    }
}

fn documents(desired: &Desired, spec: &TenantSpec) -> Result<Vec<Document>, ApplyError> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for file in spec.agreements.iter().flat_map(|agreement| &agreement.files) {
        match desired.document(&file.path) {
            Ok(document) => found.push(document),
            Err(problem) => problems.push(problem),
        }
    }
    if let Some(path) = &spec.branding.logo {
        match desired.logo(path) {
            // A logo is kept like a document; what kind it is follows from where it is used.
            Ok(bytes) => found.push(Document { id: DocumentId::of(&bytes), media: MediaType::Text, bytes }),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(ApplyError::Refused(problems)) }
}

/// The global records that a tenant's names need.
fn claim_keys(spec: &TenantSpec) -> Vec<(String, records::RecordKey<Claim>)> {
    let domains = spec.domains.iter().map(|domain| (domain.name.to_string(), records::domain_claim(&domain.name)));
    let hosts = spec.hosts.iter().map(|host| (host.clone(), records::host_claim(host)));
    domains.chain(hosts).collect()
}

async fn claims_in_the_way(foundation: &Foundation, id: TenantId, spec: &TenantSpec) -> Result<(), ApplyError> {
    let keys = claim_keys(spec);
    let record_keys: Vec<_> = keys.iter().map(|(_, key)| key.clone()).collect();
    let held = foundation.store.get_all(&record_keys).await?;
    let taken = keys.iter().zip(held).filter(|(_, claim)| claim.as_ref().is_some_and(|claim| claim.value.tenant != id));
    let problems: Vec<_> = taken.map(|((name, _), _)| format!("{name}: this name belongs to another tenant")).collect();
    if problems.is_empty() { Ok(()) } else { Err(ApplyError::Refused(problems)) }
}

async fn claim(foundation: &Foundation, id: TenantId, spec: &TenantSpec) -> Result<(), ApplyError> {
    let mut races = Races::default();
    loop {
        claims_in_the_way(foundation, id, spec).await?;
        let mut batch = Batch::new(Partition::Global);
        let listed = records::tenant_listed(id);
        if foundation.store.get(&listed).await?.is_none() {
            batch = batch.absent(&listed).put(&listed, &TenantListed { id });
        }
        for (_, key) in claim_keys(spec) {
            if foundation.store.get(&key).await?.is_none() {
                batch = batch.absent(&key).put(&key, &Claim { tenant: id });
            }
        }
        if races.won(foundation.store.commit(batch).await)? {
            return Ok(());
        }
    }
}

/// Gives back the names that the tenant had and no longer has.
async fn release(foundation: &Foundation, id: TenantId, before: Option<&Tenant>, spec: &TenantSpec) -> Result<(), ApplyError> {
    let Some(before) = before else { return Ok(()) };
    let kept = claim_keys(spec);
    let kept: Vec<_> = kept.iter().map(|(name, _)| name.as_str()).collect();
    let domains = before.domains.iter().filter(|d| !kept.contains(&d.name.as_str())).map(|d| records::domain_claim(&d.name));
    let hosts = before.hosts.iter().filter(|host| !kept.contains(&host.as_str())).map(|host| records::host_claim(host));
    for key in domains.chain(hosts) {
        if let Some(claim) = foundation.store.get(&key).await?.filter(|claim| claim.value.tenant == id) {
            let batch = Batch::new(Partition::Global).unchanged(&key, Some(&claim)).delete(&key);
            foundation.store.commit(batch).await?;
        }
    }
    Ok(())
}

/// Stores a document under its hash; one that is there already is not written again.
async fn store_document(foundation: &Foundation, tenant: TenantId, document: &Document) -> Result<(), StoreError> {
    let key = records::document(tenant, &document.id);
    if foundation.store.get(&key).await?.is_some() {
        return Ok(());
    }
    let mut chunks = 0;
    for (index, chunk) in (0u32..).zip(document.bytes.chunks(CHUNK)) {
        let key = records::document_chunk(tenant, &document.id, index);
        let value = bytes::Bytes::copy_from_slice(chunk);
        foundation.store.commit(Batch::new(Partition::Tenant(tenant)).write(Write::Put { key, value, expires: None })).await?;
        chunks = index + 1;
    }
    let info = DocumentInfo { media: document.media, size: document.bytes.len() as u64, chunks };
    foundation.store.commit(Batch::new(Partition::Tenant(tenant)).put(&key, &info)).await
}
