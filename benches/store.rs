//! What the stores cost: commits alone and under concurrency beside the engine's own bare commit, and reads.
//!
//! Figures of the embedded store are those of the disk under the build folder: compare the rows of one run with each other.
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
    clock::SystemClock,
    domain::TenantId,
    store::{Batch, Check, Key, Page, Partition, SharedStore, Write, embedded::EmbeddedStore, memory::MemoryStore},
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

fn stores(runtime: &Runtime, folder: &Path) -> [(&'static str, SharedStore); 2] {
    let clock = Arc::new(SystemClock);
    let embedded = EmbeddedStore::open(&folder.join("store"), clock.clone()).expect("the store opens");
    [("memory", Arc::new(MemoryStore::new(clock)) as SharedStore), ("embedded", Arc::new(embedded))]
        .map(|(name, store)| (name, filled(runtime, store)))
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

/// One commit at a time, by `workers` at once; the time is that of all commits, so a rate counts all workers.
fn commits(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, name: &str, store: &SharedStore, workers: u64) {
    let next = Arc::new(AtomicU64::new(0));
    group.bench_function(format!("{name}/{workers} at once"), |bencher| {
        bencher.iter_custom(|iterations| {
            let left = Arc::new(AtomicU64::new(iterations));
            let start = Instant::now();
            runtime.block_on(async {
                let mut tasks = tokio::task::JoinSet::new();
                for _ in 0..workers {
                    let (store, next, left) = (store.clone(), next.clone(), left.clone());
                    tasks.spawn(async move {
                        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                            let number = next.fetch_add(1, Ordering::Relaxed) % RECORDS;
                            // A check and a write, as a state change is.
                            let absent = Check::Absent(key(RECORDS + number));
                            let batch = Batch::new(key(0).partition()).check(absent).write(put(number));
                            store.commit(batch).await.expect("the batch is stored");
                        }
                    });
                }
                tasks.join_all().await;
            });
            start.elapsed()
        });
    });
}

/// How long one commit takes that nobody else is beside, and the engine's own: in turns, with the whole distribution.
fn alone(_: &mut Criterion) {
    let runtime = Runtime::new().expect("the runtime starts");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder is made");
    let bare = bare_engine(folder.path());
    let [_, (_, store)] = stores(&runtime, folder.path());
    let (mut of_engine, mut of_store) = (Vec::new(), Vec::new());
    for number in 0..ALONE {
        let start = Instant::now();
        bare_commit(&bare, number..number + 1);
        of_engine.push(start.elapsed());
        let batch = Batch::new(key(0).partition()).check(Check::Absent(key(RECORDS + number))).write(put(number));
        let start = Instant::now();
        runtime.block_on(store.commit(batch)).expect("the batch is stored");
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
            commits(&mut group, &runtime, name, &store, workers);
        }
    }
    group.finish();
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
        group.bench_function(format!("{name}/get"), |bencher| {
            bencher.to_async(&runtime).iter(|| {
                number = (number + 1) % RECORDS;
                let (store, key) = (&store, key(number));
                async move { store.get(&[key]).await.expect("the record is read") }
            });
        });
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
    targets = alone, writing, reading
}
criterion_main!(benches);
