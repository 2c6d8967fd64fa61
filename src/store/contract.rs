//! What every backend must do, as named cases: `contract_tests!(factory)` makes one test of each.
//!
//! The factory is an `async fn(Arc<dyn Clock>) -> (SharedStore, Guard)`: an empty store and whatever must outlive it.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Batch, Check, Entry, Key, Page, Partition, SharedStore, StoreError, Version, Write};
use crate::{clock::ManualClock, domain::TenantId};

pub(crate) mod batches;
pub(crate) mod expiry;
pub(crate) mod feed;
pub(crate) mod races;
pub(crate) mod records;
pub(crate) mod scans;

macro_rules! contract_tests {
    ($factory:ident) => {
        $crate::store::contract::contract_tests!($factory:
            records::what_was_never_written_is_absent,
            records::reads_answer_in_the_order_asked,
            records::a_put_replaces_and_a_delete_removes,
            records::every_write_has_a_version_of_its_own,
            records::a_version_is_not_used_again_after_a_delete,
            records::t_02_partitions_do_not_see_each_other,
            records::a_08_keys_with_separators_stay_apart,
            records::values_of_no_bytes_and_of_one_mebibyte_are_kept,
            batches::a_check_holds_while_the_record_is_as_it_was_read,
            batches::a_check_fails_once_the_record_was_written_deleted_or_made_again,
            batches::absence_can_be_checked,
            batches::a_failed_check_undoes_the_whole_batch,
            batches::checks_see_the_state_before_the_batch,
            batches::the_later_write_of_one_key_wins,
            batches::a_batch_of_checks_alone_answers_them,
            batches::an_empty_batch_is_accepted,
            batches::deleting_what_is_absent_is_accepted,
            scans::scans_answer_in_key_order,
            scans::a_prefix_shows_its_own_records_only,
            scans::a_08_a_segment_is_not_a_prefix_of_a_longer_one,
            scans::pages_join_without_gap_or_overlap,
            scans::a_page_outside_the_prefix_shows_nothing_foreign,
            scans::an_empty_prefix_shows_the_whole_partition,
            expiry::what_has_expired_is_absent_from_then_on,
            expiry::the_deadline_is_kept_exactly,
            expiry::what_has_expired_counts_as_absent_in_checks,
            expiry::an_expired_record_can_be_made_again,
            expiry::a_new_write_moves_or_removes_the_deadline,
            expiry::sweeping_takes_the_expired_only,
            expiry::a_page_is_filled_past_expired_records,
            feed::changes_come_in_commit_order_with_deletes,
            feed::a_subscription_starts_now,
            feed::what_wrote_nothing_is_not_reported,
            feed::a_subscriber_who_falls_behind_is_told,
            feed::every_subscriber_sees_every_workers_order,
            feed::a_feed_in_touch_says_so,
            races::conditional_increments_add_up,
            races::one_of_many_takes_a_record,
            races::commits_that_do_not_meet_all_land,
            races::an_acknowledged_write_is_read,
            races::no_reader_sees_half_a_batch,
        );
    };
    ($factory:ident: $($module:ident :: $case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let clock = $crate::clock::ManualClock::new($crate::store::contract::START);
                let (store, _guard) = $factory(std::sync::Arc::new(clock.clone())).await;
                $crate::store::contract::$module::$case($crate::store::contract::Scene { store, clock }).await;
            }
        )*
    };
}
pub(crate) use contract_tests;

/// When every case begins.
pub(crate) const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// Whether `tests/run --full` asks for the long runs.
pub(crate) fn full() -> bool {
    std::env::var_os("VESTIBULE_TEST_FULL").is_some()
}

/// A store and the clock it goes by.
pub(crate) struct Scene {
    pub(crate) store: SharedStore,
    pub(crate) clock: ManualClock,
}

impl Scene {
    /// The moment `seconds` after the start.
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(START.as_second() + seconds).unwrap()
    }

    async fn entry(&self, key: &Key) -> Option<Entry> {
        self.store.get(std::slice::from_ref(key)).await.unwrap().remove(0)
    }

    async fn value(&self, key: &Key) -> Option<Bytes> {
        self.entry(key).await.map(|entry| entry.value)
    }

    async fn version(&self, key: &Key) -> Version {
        self.entry(key).await.expect("the record exists").version
    }

    /// Applies checks and writes in the partition of the first write, or of `key("")`.
    async fn commit(&self, checks: &[Check], writes: &[Write]) -> Result<(), StoreError> {
        let partition = writes.first().map_or(tenant(1), |write| write.key().partition());
        let batch = checks.iter().cloned().fold(Batch::new(partition), Batch::check);
        self.store.commit(writes.iter().cloned().fold(batch, Batch::write)).await
    }

    async fn put(&self, key: &Key, value: &'static str) {
        self.commit(&[], &[put(key, value)]).await.unwrap();
    }

    async fn delete(&self, key: &Key) {
        self.commit(&[], &[Write::Delete(key.clone())]).await.unwrap();
    }

    async fn scan(&self, prefix: &Key) -> Vec<Key> {
        self.page(prefix, None, 1000).await
    }

    async fn page(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Vec<Key> {
        let entries = self.store.scan(prefix, Page { after: after.cloned(), limit }).await.unwrap();
        entries.into_iter().map(|entry| entry.key).collect()
    }
}

fn tenant(number: u128) -> Partition {
    Partition::Tenant(TenantId(Uuid::from_u128(number)))
}

/// A key of the first tenant.
fn key(segment: &str) -> Key {
    Key::new(tenant(1), b'k', &[segment.as_bytes()])
}

fn keys(segments: &[&str]) -> Vec<Key> {
    segments.iter().map(|segment| key(segment)).collect()
}

/// The key that all of [`key`]'s begin with.
fn all_keys() -> Key {
    Key::new(tenant(1), b'k', &[])
}

fn put(key: &Key, value: impl Into<Bytes>) -> Write {
    Write::Put { key: key.clone(), value: value.into(), expires: None }
}

fn put_until(key: &Key, value: &'static str, expires: Timestamp) -> Write {
    Write::Put { key: key.clone(), value: value.into(), expires: Some(expires) }
}

/// Runs `workers` tasks at once and waits for all of them.
async fn at_once<F>(workers: u32, task: impl Fn(u32) -> F) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..workers {
        tasks.spawn(task(worker));
    }
    tasks.join_all().await
}

fn is_conflict(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict))
}
