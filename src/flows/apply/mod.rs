//! `apply`: brings the store to a declared state, or says what it would change. Doing it twice changes nothing.
//!
//! Everything is planned first, so that all problems of all tenants are named and nothing is written when there are any.
//! Then, tenant by tenant: names that are unique on the whole server (domains, hosts) are claimed, documents are stored,
//! the tenant is changed in one commit, and names that it no longer has are given back. Each step is idempotent, so an
//! apply that was cut off is simply run again, and two at once add up.

mod claims;
mod documents;
mod plan;
pub mod spec;
#[cfg(test)]
pub(crate) mod tests;

use serde::{Deserialize, Serialize};

use super::Foundation;
use crate::{
    domain::{Domain, TenantId, verification::Challenge},
    store::{Races, StoreError},
};
use plan::Plan;
use spec::{Desired, TenantSpec};

/// What an apply did, or would do.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// One line a change, such as `+ app Expenses (Contoso)`; empty when everything is as declared.
    pub changes: Vec<String>,
    /// Secrets that were made and are shown this once.
    pub secrets: Vec<NewSecret>,
    /// Domains that wait for a record of the domain name system from now on.
    #[serde(default)]
    pub to_publish: Vec<ToPublish>,
}

/// A record that has to be published before a domain can be verified.
#[derive(Debug, Serialize, Deserialize)]
pub struct ToPublish {
    /// The tenant.
    pub tenant: TenantId,
    /// The domain.
    pub domain: Domain,
    /// The record.
    pub record: Challenge,
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
    /// The declared state is not possible: a sentence for each problem.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Applies `desired`, or with `dry_run` only says what it would change.
///
/// # Errors
/// When the declared state is impossible (all problems are named, nothing was written), or the store is unavailable (what
/// was done until then stays done; apply again).
pub async fn apply(foundation: &Foundation, desired: &Desired, dry_run: bool) -> Result<Report, ApplyError> {
    let mut problems = claims::named_twice(desired);
    let mut plans = Vec::with_capacity(desired.tenants.len());
    for spec in &desired.tenants {
        let id = claims::owner(foundation, spec).await?.unwrap_or_else(|| TenantId::random(&*foundation.entropy));
        problems.extend(claims::in_the_way(foundation, id, spec).await?);
        let mut plan = Plan::make(foundation, id, desired, spec).await?;
        problems.append(&mut plan.problems);
        plans.push((spec, plan));
    }
    refuse_if_any(problems)?;
    let mut report = Report::default();
    for (spec, plan) in plans {
        let done = if dry_run { plan.outcome } else { carry_out(foundation, desired, spec, plan).await? };
        report.changes.extend(done.changes);
        report.secrets.extend(done.secrets);
        report.to_publish.extend(done.to_publish);
    }
    if dry_run {
        // They were drawn for nothing.
        report.secrets.clear();
        report.to_publish.clear();
    }
    Ok(report)
}

fn refuse_if_any(problems: Vec<String>) -> Result<(), ApplyError> {
    if problems.is_empty() { Ok(()) } else { Err(ApplyError::Refused(problems)) }
}

/// Carries out the plan for one tenant, or, when somebody else changed it meanwhile, another plan with the same aim.
async fn carry_out(foundation: &Foundation, desired: &Desired, spec: &TenantSpec, mut plan: Plan) -> Result<Report, ApplyError> {
    let mut races = Races::default();
    loop {
        // Somebody else may have made this very tenant meanwhile, under another id.
        let id = claims::owner(foundation, spec).await?.unwrap_or(plan.tenant);
        if id != plan.tenant {
            plan = Plan::make(foundation, id, desired, spec).await?;
        }
        refuse_if_any(std::mem::take(&mut plan.problems))?;
        let claimed = claims::batch(foundation, id, spec).await?;
        if let Some(batch) = claimed
            && !races.won(foundation.store.commit(batch).await)?
        {
            continue;
        }
        for document in &plan.documents {
            documents::store(foundation, id, document).await?;
        }
        let before = plan.before.take();
        let batch = plan.batch(foundation).await?;
        if batch.writes().is_empty() || races.won(foundation.store.commit(batch).await)? {
            claims::release(foundation, id, before.as_ref()).await?;
            return Ok(plan.outcome);
        }
        plan = Plan::make(foundation, id, desired, spec).await?;
    }
}
