use std::sync::Arc;

use super::*;
use crate::{
    clock::ManualClock,
    domain::audit::{Activity, Actor},
    flows::audited,
    store::{Batch, memory::MemoryStore},
};

const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(1));

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// A log of `count` entries, one a second, written a few at a time.
async fn log(count: i64) -> Store {
    let store = Store::new(Arc::new(MemoryStore::new(Arc::new(ManualClock::new(at(0))))));
    for first in (0..count).step_by(7) {
        for second in first..(first + 7).min(count) {
            append(&store, at(second)).await;
        }
    }
    store
}

async fn append(store: &Store, at: Timestamp) {
    let head = store.get(&records::audit_head(TENANT)).await.unwrap();
    let activity = Activity::Configured { what: "app Expenses".into() };
    let batch = audited(Batch::new(Partition::Tenant(TENANT)), TENANT, head.as_ref(), at, &Actor::Operator, [activity]);
    store.commit(batch).await.unwrap();
}

async fn commit(store: &Store, change: impl FnOnce(Batch) -> Batch) {
    store.commit(change(Batch::new(Partition::Tenant(TENANT)))).await.unwrap();
}

async fn event(store: &Store, sequence: u64) -> Event {
    store.get(&records::audit_event(TENANT, sequence)).await.unwrap().unwrap().value
}

/// The number of the first entry that does not follow.
async fn broken(store: &Store, noted: Option<&Head>) -> Option<u64> {
    verify(store, TENANT, noted).await.unwrap().broken.map(|broken| broken.entry)
}

#[tokio::test]
async fn a_log_of_several_pages_is_good_and_gives_its_head() {
    let store = log(300).await;
    let verified = verify(&store, TENANT, None).await.unwrap();
    let head = store.get(&records::audit_head(TENANT)).await.unwrap().unwrap().value;
    assert_eq!(verified, Verified { tenant: TENANT, entries: 300, head: head.clone(), broken: None });
    append(&store, at(300)).await;
    assert_eq!(broken(&store, Some(&head)).await, None, "a head that was noted stays in the chain");
    let empty = log(0).await;
    assert_eq!(verify(&empty, TENANT, None).await.unwrap().entries, 0);
}

#[tokio::test]
async fn w_03_what_is_changed_dropped_or_put_in_is_found_by_its_number() {
    let store = log(20).await;
    let mut changed = event(&store, 7).await;
    changed.actor = Actor::Server;
    commit(&store, |batch| batch.put(&records::audit_event(TENANT, 7), &changed)).await;
    assert_eq!(broken(&store, None).await, Some(8), "its hash is another");

    let store = log(20).await;
    commit(&store, |batch| batch.delete(&records::audit_event(TENANT, 7))).await;
    assert_eq!(broken(&store, None).await, Some(8));

    let store = log(20).await;
    let (seventh, eighth) = (event(&store, 7).await, event(&store, 8).await);
    commit(&store, |batch| batch.put(&records::audit_event(TENANT, 7), &eighth).put(&records::audit_event(TENANT, 8), &seventh))
        .await;
    assert_eq!(broken(&store, None).await, Some(7), "swapped");

    let store = log(20).await;
    let damaged =
        crate::store::Write::Put { key: records::audit_event(TENANT, 7).key().clone(), value: "{".into(), expires: None };
    commit(&store, |batch| batch.write(damaged)).await;
    assert_eq!(broken(&store, None).await, Some(7));

    // The last entry has none after it: the head has its hash.
    let store = log(20).await;
    let mut last = event(&store, 20).await;
    last.at = at(1000);
    commit(&store, |batch| batch.put(&records::audit_event(TENANT, 20), &last)).await;
    assert_eq!(broken(&store, None).await, Some(20));
    let (next, _) = last.head(TENANT).append(TENANT, at(1001), Actor::Operator, Activity::KeysRotated);
    let store = log(20).await;
    commit(&store, |batch| batch.put(&records::audit_event(TENANT, 21), &next)).await;
    assert_eq!(broken(&store, None).await, Some(21), "after the end");
}

#[tokio::test]
async fn w_03_a_log_that_was_cut_off_is_found_by_its_head_or_by_one_that_was_noted() {
    let store = log(20).await;
    let noted = store.get(&records::audit_head(TENANT)).await.unwrap().unwrap().value;
    commit(&store, |batch| (16..=20).fold(batch, |batch, n| batch.delete(&records::audit_event(TENANT, n)))).await;
    assert_eq!(broken(&store, None).await, Some(16), "the head knows");
    // And now the head is made to fit.
    let head = event(&store, 15).await.head(TENANT);
    commit(&store, |batch| batch.put(&records::audit_head(TENANT), &head)).await;
    assert_eq!(broken(&store, None).await, None, "a good chain by itself");
    assert_eq!(broken(&store, Some(&noted)).await, Some(16));
    for second in 100..110 {
        append(&store, at(second)).await;
    }
    assert_eq!(broken(&store, None).await, None, "written anew");
    assert_eq!(broken(&store, Some(&noted)).await, Some(20));
    commit(&store, |batch| batch.delete(&records::audit_head(TENANT))).await;
    assert_eq!(broken(&store, None).await, Some(1), "without a head nothing is vouched for");
    let nowhere = Head { sequence: 0, hash: "f".repeat(64) };
    assert_eq!(broken(&log(3).await, Some(&nowhere)).await, Some(1));
}

#[tokio::test]
async fn the_last_entries_are_listed_the_oldest_of_them_first() {
    let store = log(300).await;
    let numbers = async |since: Option<i64>, limit| {
        let listed = list(&store, TENANT, since.map(at), limit).await.unwrap();
        listed.iter().map(|event| event.sequence).collect::<Vec<_>>()
    };
    assert_eq!(numbers(None, 3).await, [298, 299, 300]);
    assert_eq!(numbers(None, u32::MAX).await, (1..=300).collect::<Vec<_>>());
    // The first entry is of second 0.
    assert_eq!(numbers(Some(290), 1000).await, (291..=300).collect::<Vec<_>>());
    assert_eq!(numbers(Some(10), 1000).await, (11..=300).collect::<Vec<_>>());
    assert_eq!(numbers(Some(10), 2).await, [299, 300]);
    assert_eq!(numbers(Some(300), 10).await, [0; 0]);
}
