//! Domains and hosts belong to one tenant of the server. They are claimed before the tenant's own commit that uses them,
//! and given back after the commit that no longer does.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ApplyError,
    spec::{Desired, TenantSpec},
};
use crate::{
    domain::{Domain, TenantId, tenant::Tenant},
    flows::Foundation,
    store::{
        Batch, Partition, Races, StoreError,
        records::{self, Claim, RecordKey, TenantListed},
    },
};

/// Whose tenant is declared: the one with the id, else the one whose initial domain is the first. `None` for a new one.
///
/// A tenant that merely has the domain among others is not meant: it would be turned into another one.
pub(super) async fn owner(foundation: &Foundation, spec: &TenantSpec) -> Result<Option<TenantId>, StoreError> {
    let (None, Some(first)) = (spec.id, spec.domains.first()) else { return Ok(spec.id) };
    let store = &foundation.store;
    let Some(claim) = store.get(&records::domain_claim(&first.name)).await? else { return Ok(None) };
    let id = claim.value.tenant;
    let tenant = store.get(&records::tenant(id)).await?;
    // A claim without a tenant was made by an apply that was cut off.
    let meant = tenant.is_none_or(|tenant| tenant.value.domains.first().is_some_and(|initial| initial.name == first.name));
    Ok(meant.then_some(id))
}

/// The names of a tenant that are unique on the server, each with the record that says whose it is.
fn keys<'a>(domains: impl Iterator<Item = &'a Domain>, hosts: impl Iterator<Item = &'a str>) -> Vec<(String, RecordKey<Claim>)> {
    let domains = domains.map(|domain| (domain.to_string(), records::domain_claim(domain)));
    let hosts = hosts.map(|host| (format!("host {host}"), records::host_claim(host)));
    domains.chain(hosts).collect()
}

fn keys_of(spec: &TenantSpec) -> Vec<(String, RecordKey<Claim>)> {
    keys(spec.domains.iter().map(|domain| &domain.name), spec.hosts.iter().flatten().map(Domain::as_str))
}

fn keys_of_stored(tenant: &Tenant) -> Vec<(String, RecordKey<Claim>)> {
    keys(tenant.domains.iter().map(|domain| &domain.name), tenant.hosts.iter().map(String::as_str))
}

/// What the file itself names more than once: ids, domains and hosts.
pub(super) fn named_twice(desired: &Desired) -> Vec<String> {
    let mut seen = BTreeMap::<String, &str>::new();
    let mut problems = Vec::new();
    for spec in &desired.tenants {
        let id = spec.id.map(|id| format!("id {id}"));
        for name in id.into_iter().chain(keys_of(spec).into_iter().map(|(name, _)| name)) {
            if let Some(other) = seen.insert(name.clone(), &spec.display_name) {
                problems.push(format!("tenant {}: {name}: the file names it twice, here and for {other}", spec.display_name));
            }
        }
    }
    problems
}

/// A sentence for each name that belongs to another tenant.
pub(super) async fn in_the_way(foundation: &Foundation, id: TenantId, spec: &TenantSpec) -> Result<Vec<String>, StoreError> {
    let (names, keys): (Vec<_>, Vec<_>) = keys_of(spec).into_iter().unzip();
    let held = foundation.store.get_all(&keys).await?;
    let taken = names.iter().zip(held).filter(|(_, claim)| claim.as_ref().is_some_and(|claim| claim.value.tenant != id));
    let sentence =
        |name| format!("tenant {}: {name}: belongs to another tenant, which has to give it up first", spec.display_name);
    Ok(taken.map(|(name, _)| sentence(name)).collect())
}

/// Claims what is not claimed yet; `None` when everything is.
pub(super) async fn batch(foundation: &Foundation, id: TenantId, spec: &TenantSpec) -> Result<Option<Batch>, ApplyError> {
    super::refuse_if_any(in_the_way(foundation, id, spec).await?)?;
    let mut batch = Batch::new(Partition::Global);
    let listed = records::tenant_listed(id);
    if foundation.store.get(&listed).await?.is_none() {
        batch = batch.absent(&listed).put(&listed, &TenantListed { id });
    }
    for (_, key) in keys_of(spec) {
        if foundation.store.get(&key).await?.is_none() {
            batch = batch.absent(&key).put(&key, &Claim { tenant: id });
        }
    }
    Ok((!batch.writes().is_empty()).then_some(batch))
}

/// Gives back what the tenant had `before` and has no longer.
pub(super) async fn release(foundation: &Foundation, id: TenantId, before: Option<&Tenant>) -> Result<(), StoreError> {
    let Some(before) = before else { return Ok(()) };
    let mut races = Races::default();
    for (name, key) in keys_of_stored(before) {
        loop {
            let claim = foundation.store.get(&key).await?.filter(|claim| claim.value.tenant == id);
            // Read after the claim, and not taken from the plan: somebody else may have declared the name again.
            let now = foundation.store.get(&records::tenant(id)).await?;
            let kept: BTreeSet<_> = now.iter().flat_map(|now| keys_of_stored(&now.value)).map(|(name, _)| name).collect();
            let Some(claim) = claim.filter(|_| !kept.contains(&name)) else { break };
            let batch = Batch::new(Partition::Global).unchanged(&key, Some(&claim)).delete(&key);
            if races.won(foundation.store.commit(batch).await)? {
                break;
            }
        }
    }
    Ok(())
}
