use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering as Atomic},
};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::SignedDuration;
use uuid::Uuid;

use super::*;
use crate::{
    clock::ManualClock,
    domain::TenantId,
    store::{Key, Page, SharedStore, contract::START, embedded::EmbeddedStore, memory::MemoryStore, records::TenantListed},
};

fn tenant(number: u128) -> TenantId {
    TenantId(Uuid::from_u128(number))
}

fn key(number: u128, name: &str) -> Key {
    Key::new(Partition::Tenant(tenant(number)), 20, &[name.as_bytes()])
}

fn memory(clock: &ManualClock) -> SharedStore {
    Arc::new(MemoryStore::new(Arc::new(clock.clone())))
}

async fn put(store: &dyn Backend, key: Key, value: impl Into<Bytes>, expires: Option<Timestamp>) {
    let batch = Batch::new(key.partition());
    store.commit(batch.write(Write::Put { key, value: value.into(), expires })).await.unwrap();
}

/// Two tenants, more records than a page or a batch holds, large ones, empty ones, and some that expire.
async fn fill_source(store: &dyn Backend) {
    for number in [1, 2] {
        let listed = records::tenant_listed(tenant(number));
        let batch = Batch::new(Partition::Global).put(&listed, &TenantListed { id: tenant(number) });
        store.commit(batch).await.unwrap();
        for record in 0..600 {
            let expires = (record % 3 == 0).then(|| START + SignedDuration::from_nanos(3_600_000_000_001 + record));
            put(store, key(number, &format!("{record}")), format!("{number} {record}"), expires).await;
        }
        put(store, key(number, "large"), vec![7; 1 << 20], None).await;
        put(store, key(number, "larger"), vec![8; 1 << 20], None).await;
        put(store, key(number, "empty"), "", None).await;
    }
}

async fn contents(store: &dyn Backend) -> Vec<(Key, Bytes, Option<Timestamp>)> {
    let mut all = Vec::new();
    for partition in walk::partitions(store).await.unwrap() {
        let mut walk = Walk::of(store, partition);
        while let Some(entry) = walk.next().await.unwrap() {
            all.push((entry.key, entry.value, entry.expires));
        }
    }
    all
}

async fn copied(from: &dyn Backend, to: &dyn Backend, clock: &ManualClock, start_over: bool) -> Result<Copied, CopyError> {
    copy(from, to, clock, start_over, &mut |_| {}).await.map_err(|failed| failed.error)
}

#[tokio::test]
async fn everything_arrives_and_both_sides_have_one_digest() {
    let clock = ManualClock::new(START);
    let (from, back) = (memory(&clock), memory(&clock));
    let folder = tempfile::tempdir().unwrap();
    let file: SharedStore = Arc::new(EmbeddedStore::open(&folder.path().join("store"), Arc::new(clock.clone())).unwrap());
    fill_source(&*from).await;
    let mut steps = Vec::new();
    let there = copy(&*from, &*file, &clock, false, &mut |step| steps.push(step)).await.unwrap();
    let again = copied(&*file, &*back, &clock, false).await.unwrap();
    let before = contents(&*from).await;
    assert_eq!((contents(&*file).await == before, contents(&*back).await == before), (true, true));
    assert_eq!(there.partitions, again.partitions);
    assert_eq!(there.records, 2 * 603 + 2);
    assert_eq!(there.bytes, before.iter().map(|(key, value, _)| (key.bytes().len() + value.len()) as u64).sum::<u64>());
    let names: Vec<&str> = there.partitions.iter().map(|partition| &*partition.partition).collect();
    assert_eq!(names, ["global", &tenant(1).to_string(), &tenant(2).to_string()]);
    assert_eq!(steps[0], Step::Counted(there.records));
    for kind in [Step::Copied, Step::Compared] {
        assert_eq!(steps.iter().filter(|step| **step == kind).count() as u64, there.records);
    }
    assert_eq!(unfinished_since(&*file).await.unwrap(), None);
}

#[tokio::test]
async fn what_holds_something_is_refused_and_left_alone() {
    let clock = ManualClock::new(START);
    let (from, to) = (memory(&clock), memory(&clock));
    assert!(matches!(copied(&*from, &*to, &clock, false).await, Err(CopyError::SourceEmpty)));
    fill_source(&*from).await;
    let listed = records::tenant_listed(tenant(9));
    to.commit(Batch::new(Partition::Global).put(&listed, &TenantListed { id: tenant(9) })).await.unwrap();
    let before = contents(&*to).await;
    for start_over in [false, true] {
        assert!(matches!(copied(&*from, &*to, &clock, start_over).await, Err(CopyError::TargetNotEmpty)));
        assert_eq!(contents(&*to).await, before);
    }
}

/// A store whose commits fail from some moment on, or that keeps less than it was given.
struct Faulty {
    inner: SharedStore,
    commits_left: AtomicUsize,
    spoil: Mutex<Option<fn(&mut Write)>>,
    /// It cannot be walked through at all.
    broken: bool,
}

impl Faulty {
    fn new(inner: &SharedStore, commits_left: usize, spoil: Option<fn(&mut Write)>) -> Self {
        Self { inner: Arc::clone(inner), commits_left: AtomicUsize::new(commits_left), spoil: Mutex::new(spoil), broken: false }
    }
}

#[async_trait]
impl Backend for Faulty {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.inner.get(keys).await
    }

    async fn scan(&self, prefix: &Key, page: Page) -> Result<Vec<Entry>, StoreError> {
        if self.broken {
            return Err(StoreError::Unavailable("gone".into()));
        }
        self.inner.scan(prefix, page).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let left = self.commits_left.fetch_update(Atomic::SeqCst, Atomic::SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| StoreError::Unavailable("gone".into()))?;
        let mut writes = batch.writes().to_vec();
        let spoil = writes.iter().position(|write| write.key().segments().next() == Some(b"42"));
        if let (Some(at), Some(spoil)) = (spoil, *self.spoil.lock().unwrap()) {
            spoil(&mut writes[at]);
        }
        let checked = batch.checks().iter().cloned().fold(Batch::new(batch.partition()), Batch::check);
        self.inner.commit(writes.into_iter().fold(checked, Batch::write)).await
    }

    fn watch(&self) -> Watch {
        self.inner.watch()
    }
}

#[tokio::test]
async fn a_copy_that_was_cut_off_says_so_until_it_is_begun_again() {
    let clock = ManualClock::new(START);
    let from = memory(&clock);
    fill_source(&*from).await;
    for commits in [1, 2, 4, 6] {
        let to = memory(&clock);
        let cut = copied(&*from, &Faulty::new(&to, commits, None), &clock, false).await;
        assert!(matches!(cut, Err(CopyError::Target(StoreError::Unavailable(_)))), "{cut:?}");
        assert_eq!(unfinished_since(&*to).await.unwrap(), Some(START));
        assert!(matches!(copied(&*from, &*to, &clock, false).await, Err(CopyError::TargetUnfinished(since)) if since == START));
        let third = memory(&clock);
        assert!(matches!(copied(&*to, &*third, &clock, false).await, Err(CopyError::SourceUnfinished(since)) if since == START));
        // Left over by the first copy, and not in the source any more.
        if commits > 2 {
            put(&*to, key(1, "stale"), "x", None).await;
        }
        // Cut off while it empties what is there: the mark stays.
        copied(&*from, &Faulty::new(&to, 1, None), &clock, true).await.unwrap_err();
        assert_eq!(unfinished_since(&*to).await.unwrap(), Some(START));
        copied(&*from, &*to, &clock, true).await.unwrap();
        assert_eq!(contents(&*to).await, contents(&*from).await);
    }
}

#[tokio::test]
async fn only_a_target_that_was_marked_is_said_to_be() {
    let clock = ManualClock::new(START);
    let from = memory(&clock);
    fill_source(&*from).await;
    for (commits, touched) in [(0, false), (1, true)] {
        let to = memory(&clock);
        for start_over in [false, touched] {
            let cut = copy(&*from, &Faulty::new(&to, commits, None), &clock, start_over, &mut |_| {}).await.unwrap_err();
            assert!(matches!(cut.error, CopyError::Target(StoreError::Unavailable(_))), "{cut:?}");
            assert_eq!((cut.marked, unfinished_since(&*to).await.unwrap().is_some()), (touched, touched));
        }
    }
    let (whole, taken) = (memory(&clock), memory(&clock));
    copied(&*from, &*whole, &clock, false).await.unwrap();
    let refused = copy(&*from, &*whole, &clock, true, &mut |_| {}).await.unwrap_err();
    assert!(matches!(refused, Failed { error: CopyError::TargetNotEmpty, marked: false }), "{refused:?}");
    // The source fails before anything was done to the target.
    let gone = Faulty { broken: true, ..Faulty::new(&from, 0, None) };
    let cut = copy(&gone, &*taken, &clock, false, &mut |_| {}).await.unwrap_err();
    assert!(matches!(cut, Failed { error: CopyError::Source(_), marked: false }), "{cut:?}");
    assert_eq!(contents(&*taken).await, []);
}

#[tokio::test]
async fn a_target_that_keeps_something_else_is_found_out() {
    let clock = ManualClock::new(START);
    let from = memory(&clock);
    fill_source(&*from).await;
    let spoils: [fn(&mut Write); 3] = [
        |write| *write = Write::Delete(write.key().clone()),
        |write| *write = Write::Put { key: write.key().clone(), value: "1 42 ".into(), expires: None },
        |write| {
            let Write::Put { expires, .. } = write else { return };
            *expires = expires.map(|expires| expires - SignedDuration::from_nanos(1));
        },
    ];
    for spoil in spoils {
        let to = memory(&clock);
        let copy = copied(&*from, &Faulty::new(&to, usize::MAX, Some(spoil)), &clock, false).await;
        assert!(matches!(&copy, Err(CopyError::Differs(partition)) if *partition == tenant(1).to_string()), "{copy:?}");
        assert!(unfinished_since(&*to).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_source_that_is_written_to_fails_the_copy() {
    let clock = ManualClock::new(START);
    let from = memory(&clock);
    fill_source(&*from).await;
    for moment in [Step::Copied, Step::Compared] {
        let (to, mut once) = (memory(&clock), Some(Arc::clone(&from)));
        let mut progress = |step| {
            if step == moment
                && let Some(from) = once.take()
            {
                futures_util::FutureExt::now_or_never(put(&*from, key(2, "another"), "x", None)).expect("memory is at once");
            }
        };
        let copy = copy(&*from, &*to, &clock, false, &mut progress).await;
        assert!(matches!(copy, Err(Failed { error: CopyError::Changed, marked: true })), "{copy:?}");
        assert!(unfinished_since(&*to).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn what_expires_meanwhile_is_no_difference() {
    let clock = ManualClock::new(START);
    let (from, to) = (memory(&clock), memory(&clock));
    fill_source(&*from).await;
    // The first pages of both sides have been read when the clock jumps.
    let mut compared = 0;
    let mut progress = |step| {
        compared += usize::from(step == Step::Compared);
        if compared == 20 {
            clock.advance(7200);
        }
    };
    let copied = copy(&*from, &*to, &clock, false, &mut progress).await.unwrap();
    assert!((800..1207).contains(&copied.records), "{}", copied.records);
    assert_eq!(unfinished_since(&*to).await.unwrap(), None);
}
