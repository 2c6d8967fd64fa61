//! Domains that are verified by a DNS record: asked for, looked at again, and no longer verified when the record is gone.
//!
//! A domain belongs to one tenant, which claims it by `apply`; what is decided here is only whether the claim is proven.
//! Several nodes may run the timer. Each decides by what is stored and commits against it, so that two who looked at the
//! same moment come to one result.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Foundation, audited};
use crate::{
    clock::Entropy,
    dns::LookupError,
    domain::{
        Domain, TenantId,
        audit::{Activity, Actor},
        tenant::{Tenant, TenantDomain},
        verification::{Challenge, Sighting, Turn},
    },
    store::{
        Batch, Partition, Races, StoreError,
        records::{self, Stored},
    },
};

/// Look-ups of the timer at once.
const AT_ONCE: usize = 8;
/// How long the timer waits at least between two rounds, and how much longer at most.
const PAUSE: (Duration, Duration) = (Duration::from_mins(30), Duration::from_mins(60));
/// How long after the start the first round comes at the latest.
const FIRST: Duration = Duration::from_mins(10);

/// How a domain of a tenant stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// The domain.
    pub name: Domain,
    /// Whether it is verified.
    pub verified: bool,
    /// By what, when it is.
    pub by: Option<VerifiedBy>,
    /// When its record was last seen.
    pub last_seen: Option<Timestamp>,
    /// Since when its record has been missing.
    pub missing_since: Option<Timestamp>,
    /// From when on it is no longer verified, should the record stay missing.
    pub verified_until: Option<Timestamp>,
    /// The record that verifies it.
    pub record: Challenge,
}

/// What verifies a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifiedBy {
    /// The operator's declaration.
    Operator,
    /// The DNS record.
    Dns,
}

impl Standing {
    fn of(foundation: &Foundation, tenant: TenantId, domain: &TenantDomain) -> Self {
        let by = if domain.is_declared() { VerifiedBy::Operator } else { VerifiedBy::Dns };
        Self {
            name: domain.name.clone(),
            verified: domain.verified,
            by: domain.verified.then_some(by),
            last_seen: domain.dns.as_ref().map(|proof| proof.last_seen),
            missing_since: domain.dns.as_ref().and_then(|proof| proof.missing_since),
            verified_until: domain.verified_until(),
            record: Challenge::of(&foundation.ring, tenant, &domain.name),
        }
    }
}

/// Why a domain was not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The tenant has not claimed it, or there is no such tenant.
    #[error("{0}: the tenant has not claimed this domain: name it in the tenant's file and apply that")]
    NotClaimed(Domain),
    /// The record is not there. The domain may be verified all the same, for a while.
    #[error("{}", absent(.0))]
    Absent(Box<Standing>),
    /// Nobody knows whether the record is there. Nothing was changed.
    #[error("{0}: its record could not be looked up: {1}")]
    Unanswered(Domain, LookupError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn absent(standing: &Standing) -> String {
    let Standing { name, record, .. } = standing;
    let until = standing.verified_until.map(|until| format!("; without it the domain is verified until {until}"));
    format!(
        "{name}: there is no TXT record {}. with the one string \"{}\"{}",
        record.name,
        record.value,
        until.unwrap_or_default()
    )
}

/// How the domains of a tenant stand, the initial one first; nothing is asked of DNS. None when there is no such tenant.
///
/// # Errors
/// When the store is unavailable.
pub async fn standings(foundation: &Foundation, tenant: TenantId) -> Result<Vec<Standing>, StoreError> {
    let stored = foundation.store.get(&records::tenant(tenant)).await?;
    let domains = stored.into_iter().flat_map(|stored| stored.value.domains);
    Ok(domains.map(|domain| Standing::of(foundation, tenant, &domain)).collect())
}

/// Looks for the record of a domain that the tenant has claimed, and verifies the domain when it is there. Nothing is looked
/// up, or changed, for a domain that the operator has declared.
///
/// # Errors
/// When it is not claimed, when the record is not there or could not be looked up, or when the store is unavailable.
pub async fn verify(foundation: &Foundation, tenant: TenantId, domain: &Domain, actor: &Actor) -> Result<Standing, VerifyError> {
    let stored = foundation.store.get(&records::tenant(tenant)).await?;
    let claimed = stored.as_ref().and_then(|stored| stored.value.domain(domain));
    let claimed = claimed.ok_or_else(|| VerifyError::NotClaimed(domain.clone()))?;
    if claimed.is_declared() {
        return Ok(Standing::of(foundation, tenant, claimed));
    }
    let sighting = look(foundation, tenant, domain).await?;
    let settled = settle(foundation, tenant, domain, sighting, actor).await?;
    let standing = Standing::of(foundation, tenant, &settled.ok_or_else(|| VerifyError::NotClaimed(domain.clone()))?);
    match sighting {
        // Meanwhile the operator may have declared it.
        Sighting::Absent if standing.by != Some(VerifiedBy::Operator) => Err(VerifyError::Absent(Box::new(standing))),
        _ => Ok(standing),
    }
}

async fn look(foundation: &Foundation, tenant: TenantId, domain: &Domain) -> Result<Sighting, VerifyError> {
    let challenge = Challenge::of(&foundation.ring, tenant, domain);
    let texts = foundation.dns.txt(&challenge.name).await;
    let texts = texts.map_err(|error| VerifyError::Unanswered(domain.clone(), error))?;
    let present = texts.iter().any(|text| text == challenge.value.as_bytes());
    Ok(if present { Sighting::Present } else { Sighting::Absent })
}

/// Puts down what was seen; gives the domain as it is then, or nothing when the tenant no longer has it.
async fn settle(
    foundation: &Foundation,
    tenant: TenantId,
    domain: &Domain,
    sighting: Sighting,
    actor: &Actor,
) -> Result<Option<TenantDomain>, StoreError> {
    let (key, now) = (records::tenant(tenant), foundation.now());
    let mut races = Races::default();
    loop {
        let Some(stored) = foundation.store.get(&key).await? else { return Ok(None) };
        let Some(claimed) = stored.value.domain(domain) else { return Ok(None) };
        let (after, turn) = claimed.after(sighting, now);
        if after == *claimed {
            return Ok(Some(after));
        }
        let batch = with(&stored, &after, Batch::new(Partition::Tenant(tenant)));
        let batch = match turn {
            None => batch,
            Some(turn) => {
                let activity = match turn {
                    Turn::Verified => Activity::DomainVerified { domain: domain.clone() },
                    Turn::Unverified => Activity::DomainUnverified { domain: domain.clone() },
                };
                let head = foundation.audit_head(tenant).await?;
                audited(batch, tenant, head.as_ref(), now, actor, [activity])
            }
        };
        if races.won(foundation.store.commit(batch).await)? {
            tell(tenant, &after, turn);
            return Ok(Some(after));
        }
    }
}

/// Writes the tenant with one of its domains changed.
fn with(stored: &Stored<Tenant>, domain: &TenantDomain, batch: Batch) -> Batch {
    let domains = stored.value.domains.iter().map(|known| if known.name == domain.name { domain } else { known });
    let changed = Tenant { domains: domains.cloned().collect(), ..stored.value.clone() };
    let key = records::tenant(changed.id);
    batch.unchanged(&key, Some(stored)).put(&key, &changed)
}

fn tell(tenant: TenantId, domain: &TenantDomain, turn: Option<Turn>) {
    let name = &domain.name;
    match (turn, domain.verified_until()) {
        (Some(Turn::Verified), _) => tracing::info!(%tenant, domain = %name, "a domain was verified by its DNS record"),
        (Some(Turn::Unverified), _) => {
            tracing::warn!(%tenant, domain = %name, "a domain is no longer verified: its DNS record stayed away");
        }
        (None, Some(until)) => {
            tracing::warn!(%tenant, domain = %name, %until, "the DNS record of a verified domain is missing");
        }
        (None, None) => {}
    }
}

/// One round of the timer: looks at every domain that is due. A look-up without an answer changes nothing, and is made again
/// in the next round.
///
/// # Errors
/// When the store is unavailable.
pub async fn look_again(foundation: &Foundation) -> Result<(), StoreError> {
    let now = foundation.now();
    for listed in foundation.store.list(&records::tenants_listed()).await? {
        let tenant = listed.value.id;
        let stored = foundation.store.get(&records::tenant(tenant)).await?;
        let domains = stored.iter().flat_map(|stored| &stored.value.domains);
        let due = domains.filter(|domain| domain.is_due(now)).map(|domain| domain.name.clone());
        let looks = stream::iter(due.collect::<Vec<_>>()).map(async |domain| {
            match verify(foundation, tenant, &domain, &Actor::Server).await {
                Ok(_) | Err(VerifyError::Absent(_) | VerifyError::NotClaimed(_)) => Ok(()),
                Err(VerifyError::Store(error)) => Err(error),
                Err(error @ VerifyError::Unanswered(..)) => {
                    tracing::warn!(%tenant, %error, "a verified domain could not be looked at");
                    Ok(())
                }
            }
        });
        let looked: Vec<Result<(), StoreError>> = looks.buffer_unordered(AT_ONCE).collect().await;
        looked.into_iter().collect::<Result<(), _>>()?;
    }
    Ok(())
}

/// The timer: a round soon after the start, then one about every hour, at times that no two nodes share.
pub async fn keep_verified(foundation: &Foundation) {
    tokio::time::sleep(part(FIRST, &*foundation.entropy)).await;
    loop {
        if let Err(error) = look_again(foundation).await {
            tracing::warn!(%error, "verified domains could not be looked at");
        }
        let (least, more) = PAUSE;
        tokio::time::sleep(least + part(more, &*foundation.entropy)).await;
    }
}

/// A random part of a time.
fn part(whole: Duration, entropy: &dyn Entropy) -> Duration {
    let mut random = [0; 4];
    entropy.fill(&mut random);
    whole.mul_f64(f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX))
}
