//! What is known, in memory, read without locks.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};

use super::{Live, LiveEvent, SessionStanding};
use crate::domain::{AppId, SessionId, TenantId, UserId};

/// A map by id, read without locks.
type HashMap<K, V> = papaya::HashMap<K, V, ById>;

/// Hashes ids: 16 bytes, for which the general hasher takes longer than all the rest of a lookup. Secret words and
/// products of full width, so that neither ids that count up nor chosen ones end in the same place.
#[derive(Clone, Copy, Debug)]
struct ById(u64, u64);

struct IdHasher {
    keys: ById,
    hash: u64,
}

impl Default for ById {
    fn default() -> Self {
        let random = RandomState::new();
        Self(random.hash_one(0), random.hash_one(1))
    }
}

impl BuildHasher for ById {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher { keys: *self, hash: 0 }
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(16) {
            let mut block = [0; 16];
            block[..chunk.len()].copy_from_slice(chunk);
            let block = u128::from_le_bytes(block);
            self.hash = fold(block as u64 ^ self.hash ^ self.keys.0, (block >> 64) as u64 ^ self.keys.1);
        }
    }

    fn finish(&self) -> u64 {
        // Once more with the golden ratio: one product leaves ids that count up too evenly spaced.
        fold(self.hash ^ self.keys.0, 0x9E37_79B9_7F4A_7C15)
    }
}

/// Both halves of the product of two words, on top of each other.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// Never heard anything.
const NEVER: i64 = i64::MIN;

/// What is known of all tenants that this process has doors for. Grows with revocations, not with guests.
#[derive(Debug)]
pub struct LiveState {
    tenants: HashMap<TenantId, Arc<Tenant>>,
    max_silence: i64,
    /// When there was news last, in milliseconds since the epoch.
    heard: AtomicI64,
}

/// What is known of one tenant.
#[derive(Debug, Default)]
pub(super) struct Tenant {
    /// From when on sessions count, in milliseconds since the epoch; 0 when nothing is known against any. Never forgotten: it
    /// is one number.
    valid_from: AtomicI64,
    users: HashMap<UserId, Cutoff>,
    /// Ended sessions, and when they can be forgotten.
    sessions: HashMap<SessionId, Timestamp>,
    everywhere: AtomicU64,
    apps: HashMap<AppId, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Cutoff {
    valid_from: Timestamp,
    blocked: bool,
    forget: Option<Timestamp>,
}

impl LiveState {
    /// How long a door believes what it knows without hearing anything, unless configured otherwise.
    pub const MAX_SILENCE: SignedDuration = SignedDuration::from_secs(5);

    /// Knows nothing, and is not fresh before something was [heard](Self::heard).
    #[must_use]
    pub fn new(max_silence: SignedDuration) -> Self {
        let max_silence = i64::try_from(max_silence.as_millis()).unwrap_or(i64::MAX);
        Self { tenants: HashMap::default(), max_silence, heard: AtomicI64::new(NEVER) }
    }

    /// Takes in one event of a tenant.
    pub fn apply(&self, tenant: TenantId, event: &LiveEvent) {
        self.tenants.pin().get_or_insert_with(tenant, Arc::default).apply(event);
    }

    /// Replaces all that is known of a tenant, in one step.
    pub fn replace<'a>(&self, tenant: TenantId, events: impl IntoIterator<Item = &'a LiveEvent>) {
        let known = Tenant::default();
        events.into_iter().for_each(|event| known.apply(event));
        self.install(tenant, known);
    }

    /// All that is known of a tenant, as events.
    #[must_use]
    pub fn snapshot(&self, tenant: TenantId) -> Vec<LiveEvent> {
        self.tenants.pin().get(&tenant).map(|known| known.events()).unwrap_or_default()
    }

    /// Notes that the source of news was heard at `now` and had nothing that is not known here.
    pub fn heard(&self, now: Timestamp) {
        self.heard.store(now.as_millisecond(), Ordering::Release);
    }

    /// How many milliseconds ago there was news, as long as they are [fresh](super::Live::fresh).
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<u32> {
        // A clock that was set back must not keep a door open: what was heard in the future (but for requests that were
        // a moment faster than the news) was not heard.
        const MOMENT: i64 = 1_000;
        let heard = self.heard.load(Ordering::Acquire);
        let age = now.as_millisecond().checked_sub(heard).filter(|_| heard != NEVER)?;
        let age = (-MOMENT..=self.max_silence).contains(&age).then_some(age.max(0))?;
        u32::try_from(age).ok()
    }

    /// Forgets what has expired by itself. To be called now and then.
    pub fn forget_expired(&self, now: Timestamp) {
        for known in self.tenants.pin().values() {
            known.sessions.pin().retain(|_, forget| *forget > now);
            known.users.pin().retain(|_, cutoff| cutoff.forget.is_none_or(|forget| forget > now));
        }
    }

    pub(super) fn install(&self, tenant: TenantId, known: Tenant) {
        self.tenants.pin().insert(tenant, Arc::new(known));
    }
}

impl Tenant {
    pub(super) fn apply(&self, event: &LiveEvent) {
        match event {
            LiveEvent::UserCutoff { user, sessions_valid_from, blocked, forget } => {
                let cutoff = Cutoff { valid_from: *sessions_valid_from, blocked: *blocked, forget: *forget };
                let latest = |known: &Cutoff| Cutoff { valid_from: known.valid_from.max(cutoff.valid_from), ..cutoff };
                self.users.pin().update_or_insert(*user, latest, cutoff);
            }
            LiveEvent::TenantCutoff { sessions_valid_from } => {
                self.valid_from.fetch_max(sessions_valid_from.as_millisecond(), Ordering::AcqRel);
            }
            LiveEvent::SessionEnded { session, forget } => {
                self.sessions.pin().insert(*session, *forget);
            }
            LiveEvent::TermsEpoch { everywhere, apps } => {
                self.everywhere.fetch_max(*everywhere, Ordering::AcqRel);
                let known = self.apps.pin();
                for (app, epoch) in apps {
                    known.update_or_insert(*app, |old| *old.max(epoch), *epoch);
                }
            }
            LiveEvent::KeysChanged => {}
        }
    }

    fn events(&self) -> Vec<LiveEvent> {
        let apps: BTreeMap<_, _> = self.apps.pin().iter().map(|(app, epoch)| (*app, *epoch)).collect();
        let mut events = vec![LiveEvent::TermsEpoch { everywhere: self.everywhere.load(Ordering::Acquire), apps }];
        let valid_from = Timestamp::from_millisecond(self.valid_from.load(Ordering::Acquire)).unwrap_or_default();
        if valid_from > Timestamp::UNIX_EPOCH {
            events.push(LiveEvent::TenantCutoff { sessions_valid_from: valid_from });
        }
        events.extend(self.users.pin().iter().map(|(user, cutoff)| LiveEvent::UserCutoff {
            user: *user,
            sessions_valid_from: cutoff.valid_from,
            blocked: cutoff.blocked,
            forget: cutoff.forget,
        }));
        let sessions = self.sessions.pin();
        events.extend(sessions.iter().map(|(session, forget)| LiveEvent::SessionEnded { session: *session, forget: *forget }));
        events
    }
}

impl Live for LiveState {
    fn session(&self, tenant: TenantId, user: UserId, session: SessionId, began: Timestamp) -> SessionStanding {
        let tenants = self.tenants.pin();
        let Some(known) = tenants.get(&tenant) else { return SessionStanding::Valid };
        let began_ms = began.as_millisecond();
        match known.users.pin().get(&user) {
            Some(cutoff) if cutoff.blocked => return SessionStanding::Blocked,
            _ if began_ms < known.valid_from.load(Ordering::Acquire) => return SessionStanding::Ended,
            Some(cutoff) if began < cutoff.valid_from => return SessionStanding::Ended,
            _ => {}
        }
        if known.sessions.pin().contains_key(&session) { SessionStanding::Ended } else { SessionStanding::Valid }
    }

    fn terms_epoch(&self, tenant: TenantId, app: AppId) -> u64 {
        let tenants = self.tenants.pin();
        let Some(known) = tenants.get(&tenant) else { return 0 };
        let app = known.apps.pin().get(&app).copied().unwrap_or_default();
        known.everywhere.load(Ordering::Acquire).max(app)
    }

    fn fresh(&self, now: Timestamp) -> bool {
        self.age(now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));
    const OTHER: TenantId = TenantId(Uuid::from_u128(2));
    const APP: AppId = AppId(Uuid::from_u128(3));
    const USER: UserId = UserId(Uuid::from_u128(4));
    const SESSION: SessionId = SessionId(Uuid::from_u128(5));

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn standing(live: &LiveState, began: i64) -> SessionStanding {
        live.session(TENANT, USER, SESSION, at(began))
    }

    fn cutoff(from: i64, blocked: bool, forget: Option<i64>) -> LiveEvent {
        LiveEvent::UserCutoff { user: USER, sessions_valid_from: at(from), blocked, forget: forget.map(at) }
    }

    #[test]
    fn g_14_a_cutoff_ends_what_began_before_it_and_a_block_ends_all() {
        let live = LiveState::new(LiveState::MAX_SILENCE);
        assert_eq!(standing(&live, 10), SessionStanding::Valid);
        live.apply(TENANT, &cutoff(11, false, None));
        assert_eq!((standing(&live, 10), standing(&live, 11)), (SessionStanding::Ended, SessionStanding::Valid));
        live.apply(TENANT, &cutoff(5, true, None));
        assert_eq!((standing(&live, 10), standing(&live, 11)), (SessionStanding::Blocked, SessionStanding::Blocked));
        live.apply(TENANT, &cutoff(5, false, None));
        assert_eq!(standing(&live, 10), SessionStanding::Ended, "a cut-off never moves back");
        assert_eq!(live.session(OTHER, USER, SESSION, at(0)), SessionStanding::Valid, "tenants are apart");
    }

    #[test]
    fn f_31_a_cutoff_of_the_tenant_ends_what_began_before_it() {
        let live = LiveState::new(LiveState::MAX_SILENCE);
        let cutoff = |second| LiveEvent::TenantCutoff { sessions_valid_from: at(second) };
        live.apply(TENANT, &cutoff(11));
        live.apply(TENANT, &cutoff(5));
        assert_eq!((standing(&live, 10), standing(&live, 11)), (SessionStanding::Ended, SessionStanding::Valid));
        assert_eq!(live.session(OTHER, USER, SESSION, at(0)), SessionStanding::Valid, "tenants are apart");
        live.forget_expired(at(9_999_999));
        let copy = LiveState::new(LiveState::MAX_SILENCE);
        copy.replace(TENANT, &live.snapshot(TENANT));
        assert_eq!((standing(&copy, 10), standing(&copy, 11)), (SessionStanding::Ended, SessionStanding::Valid));
    }

    #[test]
    fn l_18_the_greatest_epoch_that_concerns_an_app_counts() {
        let live = LiveState::new(LiveState::MAX_SILENCE);
        assert_eq!(live.terms_epoch(TENANT, APP), 0);
        live.apply(TENANT, &LiveEvent::TermsEpoch { everywhere: 4, apps: [(APP, 7)].into() });
        let another = AppId(Uuid::from_u128(9));
        assert_eq!((live.terms_epoch(TENANT, APP), live.terms_epoch(TENANT, another), live.terms_epoch(OTHER, APP)), (7, 4, 0));
        live.apply(TENANT, &LiveEvent::TermsEpoch { everywhere: 8, apps: [(APP, 1)].into() });
        assert_eq!(live.terms_epoch(TENANT, APP), 8);
    }

    #[test]
    fn what_has_expired_is_forgotten_and_a_block_is_not() {
        let live = LiveState::new(LiveState::MAX_SILENCE);
        live.apply(TENANT, &LiveEvent::SessionEnded { session: SESSION, forget: at(50) });
        live.apply(TENANT, &cutoff(11, false, Some(60)));
        assert_eq!(live.snapshot(TENANT).len(), 3);
        live.forget_expired(at(49));
        assert_eq!(live.snapshot(TENANT).len(), 3);
        live.forget_expired(at(60));
        assert_eq!(live.snapshot(TENANT), [LiveEvent::TermsEpoch { everywhere: 0, apps: BTreeMap::new() }]);
        live.apply(TENANT, &cutoff(11, true, None));
        live.forget_expired(at(9_999_999));
        assert_eq!(standing(&live, 99), SessionStanding::Blocked);
    }

    #[test]
    fn a_snapshot_carries_all_and_replaces_all() {
        let events = [
            LiveEvent::SessionEnded { session: SESSION, forget: at(50) },
            cutoff(11, true, None),
            LiveEvent::TermsEpoch { everywhere: 3, apps: [(APP, 2)].into() },
        ];
        let (live, copy) = (LiveState::new(LiveState::MAX_SILENCE), LiveState::new(LiveState::MAX_SILENCE));
        events.iter().for_each(|event| live.apply(TENANT, event));
        copy.apply(TENANT, &LiveEvent::SessionEnded { session: SessionId(Uuid::from_u128(8)), forget: at(1) });
        copy.replace(TENANT, &live.snapshot(TENANT));
        let snapshot = copy.snapshot(TENANT);
        assert_eq!(snapshot.len(), 3);
        assert!(events.iter().all(|event| snapshot.contains(event)), "{snapshot:?}");
    }

    /// However ids look alike, they spread over all of a hash's bits: a table that finds them in one place would grow without
    /// end.
    #[test]
    fn ids_that_count_up_are_spread() {
        use std::collections::HashSet;
        for shift in [0, 7, 40, 64, 100, 116] {
            let keys = ById::default();
            let hashes: Vec<u64> = (0..4096u128).map(|n| keys.hash_one(UserId(Uuid::from_u128(n << shift)))).collect();
            for bits in [0, 16, 32, 52] {
                let places: HashSet<u64> = hashes.iter().map(|hash| (hash >> bits) & 0xfff).collect();
                // 4,096 random values leave about 37 % of 4,096 places empty.
                assert!(places.len() > 2_300, "shift {shift}, bits {bits}: {} places", places.len());
            }
        }
    }

    #[test]
    fn silence_and_a_clock_that_was_set_back_close_the_door() {
        let live = LiveState::new(LiveState::MAX_SILENCE);
        assert!(!live.fresh(at(100)), "nothing was ever heard");
        live.heard(at(100));
        assert!(live.fresh(at(100)) && live.fresh(at(105)) && live.fresh(at(99)));
        assert!(!live.fresh(at(106)) && !live.fresh(at(98)));
    }
}
