//! A store that says how long it takes and how it fares.
//!
//! | metric | labels | what |
//! |---|---|---|
//! | `vestibule_store_seconds` (histogram) | `operation`: `get`, `scan`, `commit`; `outcome`: `ok`, `conflict`, `unavailable`, `corrupt` | how long operations took |
//! | `vestibule_store_conflicts_total` (counter) | | commits that lost a race; their callers decide again |
//! | `vestibule_store_watch_lag_seconds` (histogram) | | how old news from the feed of changes were when they were passed on |
//! | `vestibule_store_watch_current_timestamp_seconds` (gauge) | | up to which moment everything is known; that it stands still is what a feed that was cut off looks like |

use std::time::Instant;

use async_trait::async_trait;
use jiff::Timestamp;
use metrics::Unit;

use super::{Backend, Batch, Entry, Key, Page, SharedStore, StoreError, Watch};

/// How long operations took.
pub const SECONDS: &str = "vestibule_store_seconds";
/// How old news were.
pub const WATCH_LAG: &str = "vestibule_store_watch_lag_seconds";
const CONFLICTS: &str = "vestibule_store_conflicts_total";
const WATCH_CURRENT: &str = "vestibule_store_watch_current_timestamp_seconds";

/// The upper bounds of the histograms, in seconds: from a read out of memory to what is given up.
pub const BUCKETS: [f64; 16] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Tells the recorder what the figures are. To be called once it is there.
pub fn describe() {
    metrics::describe_histogram!(SECONDS, Unit::Seconds, "How long operations of the store took.");
    metrics::describe_counter!(CONFLICTS, Unit::Count, "Commits that lost a race and were decided again.");
    metrics::describe_histogram!(WATCH_LAG, Unit::Seconds, "How old news from the store's feed were when they were passed on.");
    metrics::describe_gauge!(
        WATCH_CURRENT,
        Unit::Seconds,
        "Up to when all changes of the store are known, in seconds since 1970."
    );
}

/// Notes that at `now` the feed said that everything before `at` had been reported.
pub fn current(at: Timestamp, now: Timestamp) {
    metrics::histogram!(WATCH_LAG).record(now.duration_since(at).as_secs_f64().max(0.0));
    metrics::gauge!(WATCH_CURRENT).set(at.as_duration().as_secs_f64());
}

/// A store whose operations are measured. Its feed is the inner one's.
pub struct Measured {
    inner: SharedStore,
}

impl std::fmt::Debug for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Measured")
    }
}

impl Measured {
    /// Measures `inner`.
    #[must_use]
    pub fn new(inner: SharedStore) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl Backend for Measured {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        measure("get", self.inner.get(keys)).await
    }

    async fn scan(&self, prefix: &Key, page: Page) -> Result<Vec<Entry>, StoreError> {
        measure("scan", self.inner.scan(prefix, page)).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        measure("commit", self.inner.commit(batch)).await
    }

    fn watch(&self) -> Watch {
        self.inner.watch()
    }
}

/// What nobody waited for to the end is not counted.
async fn measure<T>(operation: &'static str, work: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
    let begun = Instant::now();
    let done = work.await;
    let outcome = match &done {
        Ok(_) => "ok",
        Err(StoreError::Conflict) => "conflict",
        Err(StoreError::Unavailable(_)) => "unavailable",
        Err(StoreError::Corrupt(_)) => "corrupt",
    };
    if outcome == "conflict" {
        metrics::counter!(CONFLICTS).increment(1);
    }
    metrics::histogram!(SECONDS, "operation" => operation, "outcome" => outcome).record(begun.elapsed());
    done
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::{
        clock::{Clock, ManualClock},
        store::{
            Check, Partition, Write,
            contract::{START, contract_tests},
            memory::MemoryStore,
        },
    };

    async fn store(clock: Arc<dyn Clock>) -> (SharedStore, ()) {
        (Arc::new(Measured::new(Arc::new(MemoryStore::new(clock)))), ())
    }

    // It is a store like any other, its feed included.
    contract_tests!(store);

    /// A store that never works.
    struct Broken(StoreError);

    #[async_trait]
    impl Backend for Broken {
        async fn get(&self, _: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
            Err(self.0.clone())
        }

        async fn scan(&self, _: &Key, _: Page) -> Result<Vec<Entry>, StoreError> {
            Err(self.0.clone())
        }

        async fn commit(&self, _: Batch) -> Result<(), StoreError> {
            Err(self.0.clone())
        }

        fn watch(&self) -> Watch {
            Watch::new(tokio::sync::broadcast::Sender::new(1).subscribe())
        }
    }

    #[test]
    fn operations_are_counted_by_kind_and_outcome() {
        let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS).unwrap().build_recorder();
        let key = Key::new(Partition::Global, b'k', &[b"a"]);
        metrics::with_local_recorder(&recorder, || {
            describe();
            let (store, ()) = store(Arc::new(ManualClock::new(START))).now_or_never().unwrap();
            let absent = || {
                let write = Write::Put { key: key.clone(), value: "x".into(), expires: None };
                store.commit(Batch::new(Partition::Global).check(Check::Absent(key.clone())).write(write)).now_or_never().unwrap()
            };
            absent().unwrap();
            assert!((0..3).all(|_| absent().is_err()));
            store.get(std::slice::from_ref(&key)).now_or_never().unwrap().unwrap();
            store.scan(&key, Page { after: None, limit: 1 }).now_or_never().unwrap().unwrap();
            for error in [StoreError::Unavailable("x".into()), StoreError::Corrupt("x".into())] {
                let broken = Measured::new(Arc::new(Broken(error)));
                broken.get(std::slice::from_ref(&key)).now_or_never().unwrap().unwrap_err();
            }
            current(START, START + jiff::SignedDuration::from_millis(250));
        });
        let shown = recorder.handle().render();
        for line in [
            "# TYPE vestibule_store_seconds histogram",
            r#"vestibule_store_seconds_count{operation="commit",outcome="ok"} 1"#,
            r#"vestibule_store_seconds_count{operation="commit",outcome="conflict"} 3"#,
            r#"vestibule_store_seconds_count{operation="get",outcome="ok"} 1"#,
            r#"vestibule_store_seconds_count{operation="scan",outcome="ok"} 1"#,
            r#"vestibule_store_seconds_count{operation="get",outcome="unavailable"} 1"#,
            r#"vestibule_store_seconds_count{operation="get",outcome="corrupt"} 1"#,
            "# HELP vestibule_store_conflicts_total Commits that lost a race",
            "vestibule_store_conflicts_total 3",
            "vestibule_store_watch_lag_seconds_sum 0.25",
            "vestibule_store_watch_current_timestamp_seconds 1800000000",
        ] {
            assert!(shown.lines().any(|shown| shown.starts_with(line)), "{line} is not in\n{shown}");
        }
    }
}
