//! How much is done for one app and one tenant, in memory, for each node by itself.

use std::{
    collections::{HashMap, hash_map::Entry},
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::available_parallelism,
    time::Duration,
};

use governor::{
    Quota, RateLimiter, clock::Clock as _, middleware::NoOpMiddleware, nanos::Nanos, state::keyed::DashMapStateStore,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Caller;
use crate::{
    clock::Clock,
    domain::{AppId, TenantId, UserId},
    error::Code,
    identity::LimiterClock,
    odata::Error,
};

/// Whatever may mail an invitation: 150 in 5 s a tenant, for all apps together (b2b-facts section 12).
const INVITATIONS: (u32, Duration) = (150, Duration::from_secs(5));
/// The same of one person: a tenth, so that nobody uses up what belongs to all.
const INVITATIONS_OF_ONE: (u32, Duration) = (15, Duration::from_secs(5));
/// All requests of one app: 2,000 in 10 s. Items of batches count.
const REQUESTS: (u32, Duration) = (2_000, Duration::from_secs(10));
/// Long readings of one app of a tenant at once.
const READINGS: u32 = 4;
/// After so many questions, what is at rest is forgotten.
const CLEAN_UP: u32 = 4096;

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, LimiterClock, NoOpMiddleware<Nanos>>;

/// The limits.
pub(super) struct Limits {
    clock: LimiterClock,
    apps: Keyed<(TenantId, AppId)>,
    invitations: Keyed<TenantId>,
    inviters: Keyed<(TenantId, UserId)>,
    readings: Arc<Readings>,
    asked: AtomicU32,
}

impl Limits {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let clock = LimiterClock(clock);
        Self {
            apps: RateLimiter::dashmap_with_clock(quota(REQUESTS), clock.clone()),
            invitations: RateLimiter::dashmap_with_clock(quota(INVITATIONS), clock.clone()),
            inviters: RateLimiter::dashmap_with_clock(quota(INVITATIONS_OF_ONE), clock.clone()),
            readings: Arc::new(Readings::new()),
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
            self.inviters.retain_recent();
        }
        // Who runs the server is kept from it by nobody.
        let Some(app) = caller.app() else { return Ok(()) };
        self.apps.check_key(&(caller.tenant(), app)).map_err(|until| self.later(until))
    }

    /// Takes down one request that may mail an invitation of a tenant: first of the person who acts, if one does.
    ///
    /// # Errors
    /// 429.
    pub(super) fn admit_invitation(&self, caller: &Caller) -> Result<(), Error> {
        if caller.app().is_none() {
            return Ok(());
        }
        self.admit_inviter(caller.tenant(), caller.user())
    }

    fn admit_inviter(&self, tenant: TenantId, person: Option<UserId>) -> Result<(), Error> {
        if let Some(person) = person {
            self.inviters.check_key(&(tenant, person)).map_err(|until| self.later(until))?;
        }
        self.invitations.check_key(&tenant).map_err(|until| self.later(until))
    }

    fn later(&self, until: governor::NotUntil<Nanos>) -> Error {
        let wait = until.wait_time_from(self.clock.now());
        too_many(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// Leave for a long reading: one that looks at many records to find few. A caller has at most [`READINGS`] at once, and takes
    /// turns with all others.
    ///
    /// # Errors
    /// 429.
    pub(super) fn reading(&self, caller: &Caller) -> Result<Reading, Error> {
        self.readings.begin((caller.tenant(), caller.app()))
    }
}

fn too_many(wait: u32) -> Error {
    Error::too_many_requests(wait).with(Code::TooMany)
}

/// An app in a tenant, or the operator.
type Whose = (TenantId, Option<AppId>);

/// Long readings that go on.
struct Readings {
    going_on: Mutex<HashMap<Whose, u32>>,
    /// Given in the order of asking.
    turns: Semaphore,
}

impl Readings {
    fn new() -> Self {
        // The other half of the processors is for whoever asks for little.
        let turns = available_parallelism().map_or(1, |all| all.get().div_ceil(2));
        Self { going_on: Mutex::default(), turns: Semaphore::new(turns) }
    }

    fn begin(self: &Arc<Self>, whose: Whose) -> Result<Reading, Error> {
        let mut going_on = self.going_on.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = going_on.entry(whose).or_default();
        if *theirs == READINGS {
            return Err(too_many(1));
        }
        *theirs += 1;
        Ok(Reading { whose, all: Arc::clone(self) })
    }
}

/// Leave for a long reading, until it is dropped.
pub(super) struct Reading {
    whose: Whose,
    all: Arc<Readings>,
}

impl Reading {
    /// The turn to read one piece, until it is dropped. Turns go round among all readings of the server, so that one of a few
    /// records is not behind one of a million.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.all.turns.acquire().await.ok()
    }
}

/// The turn of a reading that takes turns, of one that is long.
pub(super) async fn turn(reading: Option<&Reading>) -> Option<SemaphorePermit<'_>> {
    reading?.turn().await
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut going_on = self.all.going_on.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut theirs) = going_on.entry(self.whose) {
            *theirs.get_mut() -= 1;
            if *theirs.get() == 0 {
                theirs.remove();
            }
        }
    }
}

/// So many at once, and as many again in the time given.
fn quota((burst, within): (u32, Duration)) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    // Only a period of zero is refused.
    Quota::with_period(within / burst.get()).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(app: u128) -> Whose {
        (TenantId(uuid::Uuid::nil()), Some(AppId(uuid::Uuid::from_u128(app))))
    }

    #[test]
    fn the_readings_of_one_app_are_bounded_and_those_of_another_are_not() {
        let readings = Arc::new(Readings::new());
        let begin = |app| readings.begin(whose(app));
        let mut greedy: Vec<_> = (0..READINGS).map(|_| begin(1).expect("leave")).collect();
        assert_eq!(begin(1).err().and_then(|refused| refused.wait()), Some(1));
        let other = begin(2).expect("leave");
        greedy.pop();
        greedy.push(begin(1).expect("leave again"));
        drop((greedy, other));
        assert!(readings.going_on.lock().unwrap().is_empty());
    }

    /// O-04: one person who invites without end leaves the tenant's quota to others.
    #[test]
    fn o_04_one_person_does_not_use_up_the_invitations_of_a_tenant() {
        let limits = Limits::new(Arc::new(crate::clock::ManualClock::new("2026-11-22T12:00:00Z".parse().unwrap())));
        let tenant = TenantId(uuid::Uuid::nil());
        let admitted = |times, person: Option<u128>| {
            let person = person.map(|number| UserId(uuid::Uuid::from_u128(number)));
            (0..times).filter(|_| limits.admit_inviter(tenant, person).is_ok()).count()
        };
        assert_eq!(admitted(571, Some(1)), 15);
        assert_eq!(admitted(1, Some(2)), 1, "other people are not concerned");
        assert_eq!(admitted(571, None), 134, "nor are apps");
    }

    /// However many pieces one reads, another waits for no more than those that asked before it.
    #[tokio::test]
    async fn a_short_reading_is_not_behind_a_long_one() {
        let readings = Arc::new(Readings { turns: Semaphore::new(1), ..Readings::new() });
        let read = Arc::new(Mutex::new(Vec::new()));
        let of = |app, pieces| {
            let (reading, read) = (readings.begin(whose(app)).expect("leave"), Arc::clone(&read));
            tokio::spawn(async move {
                for _ in 0..pieces {
                    let _turn = reading.turn().await;
                    read.lock().unwrap().push(app);
                    let before = read.lock().unwrap().len();
                    tokio::task::yield_now().await;
                    assert_eq!(read.lock().unwrap().len(), before, "one piece at a time");
                }
            })
        };
        let long: Vec<_> = (0..READINGS).map(|_| of(1, 1_000)).collect();
        while read.lock().unwrap().len() < 100 {
            tokio::task::yield_now().await;
        }
        let before = read.lock().unwrap().len();
        of(2, 3).await.unwrap();
        let between = read.lock().unwrap().len() - before;
        assert!(between <= 3 * (1 + READINGS as usize) + READINGS as usize, "{between} pieces until three were read");
        for reading in long {
            reading.await.unwrap();
        }
    }
}
