//! How much is done for one app and one tenant, in memory, for each node by itself.

use std::{
    collections::HashSet,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter, clock::Clock as _, middleware::NoOpMiddleware, nanos::Nanos, state::keyed::DashMapStateStore,
};

use super::Caller;
use crate::{
    clock::Clock,
    domain::{AppId, TenantId},
    error::Code,
    identity::LimiterClock,
    odata::Error,
};

/// Whatever may mail an invitation: 150 in 5 s a tenant, for all apps together (b2b-facts section 12).
const INVITATIONS: (u32, Duration) = (150, Duration::from_secs(5));
/// All requests of one app: 2,000 in 10 s. Items of batches count.
const REQUESTS: (u32, Duration) = (2_000, Duration::from_secs(10));
/// After so many questions, what is at rest is forgotten.
const CLEAN_UP: u32 = 4096;

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, LimiterClock, NoOpMiddleware<Nanos>>;

/// The limits.
pub(super) struct Limits {
    clock: LimiterClock,
    apps: Keyed<(TenantId, AppId)>,
    invitations: Keyed<TenantId>,
    /// Tenants whose whole directory is being read for somebody.
    walks: Arc<Mutex<HashSet<TenantId>>>,
    asked: AtomicU32,
}

impl Limits {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let clock = LimiterClock(clock);
        Self {
            apps: RateLimiter::dashmap_with_clock(quota(REQUESTS), clock.clone()),
            invitations: RateLimiter::dashmap_with_clock(quota(INVITATIONS), clock.clone()),
            walks: Arc::default(),
            asked: AtomicU32::new(0),
            clock,
        }
    }

    /// Takes down one request of an app.
    ///
    /// # Errors
    /// 429.
    pub(super) fn admit(&self, caller: &Caller) -> Result<(), Error> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % CLEAN_UP == CLEAN_UP - 1 {
            self.apps.retain_recent();
            self.invitations.retain_recent();
        }
        // Who runs the server is kept from it by nobody.
        let Some(app) = caller.app() else { return Ok(()) };
        self.apps.check_key(&(caller.tenant(), app)).map_err(|until| self.later(until))
    }

    /// Takes down one request that may mail an invitation of a tenant.
    ///
    /// # Errors
    /// 429.
    pub(super) fn admit_invitation(&self, caller: &Caller) -> Result<(), Error> {
        if caller.app().is_none() {
            return Ok(());
        }
        self.invitations.check_key(&caller.tenant()).map_err(|until| self.later(until))
    }

    fn later(&self, until: governor::NotUntil<Nanos>) -> Error {
        let wait = until.wait_time_from(self.clock.now());
        too_many(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// Leave to read a tenant's whole directory: one at a time has it.
    ///
    /// # Errors
    /// 429.
    pub(super) fn walk(&self, tenant: TenantId) -> Result<WalkPermit, Error> {
        let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        if !walks.insert(tenant) {
            return Err(too_many(1));
        }
        Ok(WalkPermit { tenant, walks: Arc::clone(&self.walks) })
    }
}

fn too_many(wait: u32) -> Error {
    Error::too_many_requests(wait).with(Code::TooMany)
}

/// Leave to read a tenant's whole directory, until it is dropped.
pub(super) struct WalkPermit {
    tenant: TenantId,
    walks: Arc<Mutex<HashSet<TenantId>>>,
}

impl Drop for WalkPermit {
    fn drop(&mut self) {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.tenant);
    }
}

/// So many at once, and as many again in the time given.
fn quota((burst, within): (u32, Duration)) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    // Only a period of zero is refused.
    Quota::with_period(within / burst.get()).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst)
}
