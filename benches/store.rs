//! What the stores cost: commits alone and under concurrency beside the engine's own bare commit, reads, and how long another
//! node takes to hear of a commit.
//!
//! Figures of the embedded store are those of the disk under the build folder: compare the rows of one run with each other.
//! Redis takes part where `tests/servers` has said where it is, one server alone and one whose replica must acknowledge:
//!
//! ```console
//! tests/servers start DIR && . DIR/env && cargo bench --bench store
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    hint::black_box,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use redb::{Database, ReadableDatabase, TableDefinition};
use tokio::runtime::Runtime;
use uuid::Uuid;
use vestibule::{
    clock::{SystemClock, SystemEntropy, random_uuid},
    domain::TenantId,
    store::{
        Batch, Change, Check, Key, Location, Page, Partition, SharedStore, Write, embedded::EmbeddedStore, memory::MemoryStore,
    },
};

const RECORDS: u64 = 20_000;
/// Commits alone: enough that one in a hundred is twenty.
const ALONE: u64 = 2_000;
const VALUE: Bytes = Bytes::from_static(&[b'x'; 400]);
const BARE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bare");

fn key(number: u64) -> Key {
    // Spread over the tree, as the hashes and random ids of real keys are.
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    Key::new(Partition::Tenant(TenantId(Uuid::from_u128(1))), b'k', &[&spread])
}

fn put(number: u64) -> Write {
    Write::Put { key: key(number), value: VALUE, expires: None }
}

/// A store with records in it.
fn filled(runtime: &Runtime, store: SharedStore) -> SharedStore {
    for first in (0..RECORDS).step_by(1000) {
        let batch = (first..first + 1000).map(put).fold(Batch::new(key(0).partition()), Batch::write);
        runtime.block_on(store.commit(batch)).expect("the records are stored");
    }
    store
}

fn stores(runtime: &Runtime, folder: &Path) -> Vec<(&'static str, SharedStore)> {
    let clock = Arc::new(SystemClock);
    let embedded = EmbeddedStore::open(&folder.join("store"), clock.clone()).expect("the store opens");
    let local = [("memory", Arc::new(MemoryStore::new(clock)) as SharedStore), ("embedded", Arc::new(embedded))];
    let remote = redis_servers().map(|(name, url)| (name, node(runtime, &url)));
    local.into_iter().chain(remote).map(|(name, store)| (name, filled(runtime, store))).collect()
}

/// The Redis servers that there are, each with a namespace of its own.
#[expect(clippy::disallowed_methods, reason = "where the servers are differs from run to run")]
fn redis_servers() -> impl Iterator<Item = (&'static str, String)> {
    [("redis", "VESTIBULE_TEST_REDIS"), ("redis with a replica", "VESTIBULE_TEST_SENTINEL")].into_iter().filter_map(
        |(name, variable)| {
            Some((name, format!("{}&namespace={}", std::env::var(variable).ok()?, random_uuid(&SystemEntropy).simple())))
        },
    )
}

/// A node's store in Redis.
fn node(runtime: &Runtime, url: &str) -> SharedStore {
    runtime.block_on(async {
        let location: Location = url.parse().expect("a URL");
        let opened = location.open(Arc::new(SystemClock), Arc::new(SystemEntropy)).expect("the store opens");
        opened.ready.await.expect("the server can be used");
        opened.store
    })
}

/// Does `operation` as often as it is told, by `workers` at once; the time is that of all, so a rate counts all workers.
fn at_once<F: Future<Output = ()> + Send>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    (name, workers): (&str, u64),
    operation: impl Fn(u64) -> F + Clone + Send + 'static,
) {
    let next = Arc::new(AtomicU64::new(0));
    group.bench_function(format!("{name}/{workers} at once"), |bencher| {
        bencher.iter_custom(|iterations| {
            let left = Arc::new(AtomicU64::new(iterations));
            let start = Instant::now();
            runtime.block_on(async {
                let mut tasks = tokio::task::JoinSet::new();
                for _ in 0..workers {
                    let (operation, next, left) = (operation.clone(), next.clone(), left.clone());
                    tasks.spawn(async move {
                        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                            operation(next.fetch_add(1, Ordering::Relaxed) % RECORDS).await;
                        }
                    });
                }
                tasks.join_all().await;
            });
            start.elapsed()
        });
    });
}

/// The engine alone, written as plainly as it can be.
fn bare_engine(folder: &Path) -> Database {
    let db = Database::create(folder.join("bare")).expect("the engine opens");
    for first in (0..RECORDS).step_by(1000) {
        bare_commit(&db, first..first + 1000);
    }
    db
}

fn bare_commit(db: &Database, numbers: std::ops::Range<u64>) {
    let mut transaction = db.begin_write().expect("a transaction begins");
    transaction.set_two_phase_commit(true);
    {
        let mut table = transaction.open_table(BARE).expect("the table opens");
        for number in numbers {
            table.insert(key(number).bytes().as_ref(), VALUE.as_ref()).expect("a row is stored");
        }
    }
    transaction.commit().expect("the transaction commits");
}

/// A check and a write, as a state change is.
fn change(number: u64) -> Batch {
    Batch::new(key(0).partition()).check(Check::Absent(key(RECORDS + number))).write(put(number))
}

/// How long one commit takes that nobody else is beside, and the engine's own: in turns, with the whole distribution.
fn alone(_: &mut Criterion) {
    let runtime = Runtime::new().expect("the runtime starts");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder is made");
    let bare = bare_engine(folder.path());
    let store = stores(&runtime, folder.path()).swap_remove(1).1;
    let (mut of_engine, mut of_store) = (Vec::new(), Vec::new());
    for number in 0..ALONE {
        let start = Instant::now();
        bare_commit(&bare, number..number + 1);
        of_engine.push(start.elapsed());
        let start = Instant::now();
        runtime.block_on(store.commit(change(number))).expect("the batch is stored");
        of_store.push(start.elapsed());
    }
    let [engine, store] = [("bare engine, two-phase", of_engine), ("embedded store", of_store)].map(|(name, mut times)| {
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100];
        let quantiles = [0, 25, 50, 75, 90, 95, 99].map(|percent| format!("p{percent} {:?}", at(percent)));
        println!("one commit alone, {name}: {}, most {:?}", quantiles.join(", "), times[times.len() - 1]);
        (at(50), at(99))
    });
    let ratio = |store: Duration, engine: Duration| store.as_secs_f64() / engine.as_secs_f64();
    println!("one commit alone, store over engine: p50 {:.2}, p99 {:.2}", ratio(store.0, engine.0), ratio(store.1, engine.1));
}

fn writing(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("the runtime starts");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder is made");
    let mut group = criterion.benchmark_group("commit");
    let bare = bare_engine(folder.path());
    // One row a commit is the peer of one caller alone; many rows a commit are what grouping could reach at best.
    for rows in [1, 8, 64] {
        let mut number = 0;
        group.throughput(Throughput::Elements(rows));
        group.bench_function(format!("bare engine/{rows} in one"), |bencher| {
            bencher.iter(|| {
                number = (number + rows) % (RECORDS - rows);
                bare_commit(&bare, number..number + rows);
            });
        });
    }
    group.throughput(Throughput::Elements(1));
    for (name, store) in stores(&runtime, folder.path()) {
        for workers in [1, 8, 64] {
            let store = store.clone();
            at_once(&mut group, &runtime, (name, workers), move |number| {
                let store = store.clone();
                async move { store.commit(change(number)).await.expect("the batch is stored") }
            });
        }
    }
    // The peer of the stores in Redis: the plainest write there is, over the same client.
    if let Some((name, connection)) = bare_connections(&runtime) {
        for workers in [1, 8, 64] {
            let connection = connection.clone();
            at_once(&mut group, &runtime, (&format!("bare SET, {name}"), workers), move |number| {
                let mut connection = connection.clone();
                async move {
                    let set =
                        redis::cmd("SET").arg(format!("{{bare}}{number}")).arg(&VALUE[..]).exec_async(&mut connection).await;
                    set.expect("the value is stored");
                }
            });
        }
    }
    group.finish();
}

fn bare_connections(runtime: &Runtime) -> Option<(&'static str, redis::aio::MultiplexedConnection)> {
    let (name, url) = redis_servers().next()?;
    let client = redis::Client::open(url.split('?').next().unwrap_or_default()).expect("a URL");
    Some((name, runtime.block_on(client.get_multiplexed_async_connection()).expect("a connection")))
}

/// How long after a commit was acknowledged on one node another one hears of it.
fn news(_: &mut Criterion) {
    let runtime = Runtime::new().expect("the runtime starts");
    for (name, url) in redis_servers() {
        let (here, there) = (node(&runtime, &url), node(&runtime, &url));
        let mut watch = there.watch();
        let mut times: Vec<_> = (0..500)
            .map(|number| {
                runtime.block_on(async {
                    here.commit(change(number)).await.expect("the batch is stored");
                    let acknowledged = Instant::now();
                    while !matches!(watch.next().await, Some(Change::Keys(keys)) if keys[0] == key(number)) {}
                    acknowledged.elapsed()
                })
            })
            .collect();
        times.sort_unstable();
        let quantiles = [0, 50, 90, 99].map(|percent| format!("p{percent} {:?}", times[times.len() * percent / 100]));
        println!("another node hears of a commit, {name}: {}, most {:?}", quantiles.join(", "), times[times.len() - 1]);
    }
}

fn reading(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("the runtime starts");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder is made");
    let mut group = criterion.benchmark_group("read");
    let bare = bare_engine(folder.path());
    let mut number = 0;
    group.throughput(Throughput::Elements(1));
    group.bench_function("bare engine/get", |bencher| {
        bencher.iter(|| {
            number = (number + 1) % RECORDS;
            let table = bare.begin_read().expect("a transaction begins").open_table(BARE).expect("the table opens");
            let row = table.get_owned(key(number).bytes().as_ref()).expect("the row is read").expect("the row exists");
            black_box(row.value().len())
        });
    });
    for (name, store) in stores(&runtime, folder.path()) {
        group.throughput(Throughput::Elements(1));
        for workers in [1, 8, 64] {
            let store = store.clone();
            at_once(&mut group, &runtime, (&format!("{name}/get"), workers), move |number| {
                let store = store.clone();
                async move { assert!(store.get(&[key(number)]).await.expect("the record is read")[0].is_some()) }
            });
        }
        group.throughput(Throughput::Elements(100));
        group.bench_function(format!("{name}/scan of 100"), |bencher| {
            bencher.to_async(&runtime).iter(|| {
                number = (number + 1) % RECORDS;
                let (store, page) = (&store, Page { after: Some(key(number)), limit: 100 });
                let prefix = Key::new(key(0).partition(), b'k', &[]);
                async move { store.scan(&prefix, page).await.expect("the records are read") }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1));
    targets = alone, news, writing, reading
}
criterion_main!(benches);
