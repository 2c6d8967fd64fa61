//! What the layer costs an authenticated request in time, in process, beside the bare service.
//!
//! The layer is the remote form, as an app runs it: a provider on loopback signs real tokens and sends the live feed, and
//! the session comes from a sign-in through it. Requests are built and answers dropped outside the measurement.

mod provider;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

use self::provider::{App, CASES, World, call};

/// Requests made ready at a time: few enough to stay in the processor's caches, as a server's one at a time do.
const BATCH: BatchSize = BatchSize::NumIterations(64);

fn bench(criterion: &mut Criterion) {
    let mut world = World::start();
    let mut behind = world.behind.clone();
    let mut group = criterion.benchmark_group("layer");
    for (case, name) in CASES.iter().enumerate() {
        group.bench_function(format!("bare service ({name})"), |bencher| {
            bencher.iter_batched(|| world.request(case), |request| call(&mut App, request), BATCH);
        });
        let request = world.request(case);
        assert_eq!(call(&mut world.behind, request).status(), 200, "{name}");
        group.bench_function(format!("behind the layer ({name})"), |bencher| {
            bencher.iter_batched(|| world.request(case), |request| call(&mut behind, request), BATCH);
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
