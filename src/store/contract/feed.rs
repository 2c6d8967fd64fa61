use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::store::{Change, FEED_CAPACITY, Watch};

/// A change that is on its way arrives well before this; it bounds a failing test, nothing else.
const PATIENCE: Duration = Duration::from_secs(30);

async fn next(watch: &mut Watch) -> Change {
    let next = async {
        loop {
            match watch.next().await.expect("the store is there") {
                Change::Current(_) => {}
                change => return change,
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("a change is reported")
}

async fn next_keys(watch: &mut Watch) -> Vec<Key> {
    match next(watch).await {
        Change::Keys(keys) => keys.to_vec(),
        other => panic!("nothing was lost: {other:?}"),
    }
}

/// The next keys, but for the commit of `last`: one that was under way when the subscription began may be reported still.
async fn next_keys_after(watch: &mut Watch, last: &str) -> Vec<Key> {
    match next_keys(watch).await {
        keys if *keys == [key(last)] => next_keys(watch).await,
        keys => keys,
    }
}

pub(crate) async fn changes_come_in_commit_order_with_deletes(scene: Scene) {
    let mut watch = scene.store.watch();
    scene.put(&key("a"), "x").await;
    scene.put(&key("b"), "x").await;
    scene.delete(&key("a")).await;
    scene.commit(&[], &[put(&key("c"), "x"), Write::Delete(key("b"))]).await.unwrap();
    assert_eq!(next_keys(&mut watch).await, keys(&["a"]));
    assert_eq!(next_keys(&mut watch).await, keys(&["b"]));
    assert_eq!(next_keys(&mut watch).await, keys(&["a"]));
    assert_eq!(next_keys(&mut watch).await, keys(&["c", "b"]));
    // Only those of one partition come in the order of the commits.
    scene.put(&Key::new(Partition::Global, b'k', &[]), "x").await;
    assert_eq!(next_keys(&mut watch).await, [Key::new(Partition::Global, b'k', &[])]);
}

pub(crate) async fn a_subscription_starts_now(scene: Scene) {
    scene.put(&key("before"), "x").await;
    let mut watch = scene.store.watch();
    scene.put(&key("after"), "x").await;
    assert_eq!(next_keys_after(&mut watch, "before").await, keys(&["after"]));
}

pub(crate) async fn what_wrote_nothing_is_not_reported(scene: Scene) {
    scene.put(&key("a"), "x").await;
    let mut watch = scene.store.watch();
    let conflict = scene.commit(&[Check::Absent(key("a"))], &[put(&key("a"), "y")]).await;
    assert!(is_conflict(&conflict));
    scene.commit(&[Check::Absent(key("b"))], &[]).await.unwrap();
    scene.commit(&[], &[]).await.unwrap();
    scene.put(&key("end"), "x").await;
    assert_eq!(next_keys_after(&mut watch, "a").await, keys(&["end"]));
}

pub(crate) async fn a_subscriber_who_falls_behind_is_told(scene: Scene) {
    let (mut watch, mut quick) = (scene.store.watch(), scene.store.watch());
    let scene = Arc::new(scene);
    let (workers, each) = (64, FEED_CAPACITY / 64 + 2);
    let all = workers as usize * each;
    let witness = tokio::spawn(async move {
        // Whatever this one missed was reported all the same.
        let mut seen = 0;
        while seen < all && next(&mut quick).await != Change::Lost {
            seen += 1;
        }
    });
    at_once(workers, |worker| {
        let scene = scene.clone();
        async move {
            for _ in 0..each {
                scene.put(&key(&worker.to_string()), "x").await;
            }
        }
    })
    .await;
    witness.await.unwrap();
    assert_eq!(next(&mut watch).await, Change::Lost);
    // It goes on from there.
    scene.put(&key("end"), "x").await;
    while next(&mut watch).await != Change::Keys(keys(&["end"]).into()) {}
}

pub(crate) async fn every_subscriber_sees_every_workers_order(scene: Scene) {
    let (workers, each) = (16, 20u8);
    let mut watches = [scene.store.watch(), scene.store.watch()];
    let scene = Arc::new(scene);
    at_once(workers, |worker| {
        let scene = scene.clone();
        async move {
            for number in 0..each {
                let key = Key::new(tenant(u128::from(worker)), b'k', &[&[number]]);
                scene.put(&key, "x").await;
            }
        }
    })
    .await;
    let mut orders = Vec::new();
    for watch in &mut watches {
        let mut order = Vec::new();
        while order.len() < workers as usize * usize::from(each) {
            order.extend(next_keys(watch).await);
        }
        let mut by_worker: BTreeMap<Partition, Vec<Key>> = BTreeMap::new();
        order.iter().for_each(|key| by_worker.entry(key.partition()).or_default().push(key.clone()));
        assert!(by_worker.values().all(|keys| keys.len() == usize::from(each) && keys.is_sorted()));
        orders.push(order);
    }
    assert_eq!(orders[0], orders[1]);
}

pub(crate) async fn a_feed_in_touch_says_so(scene: Scene) {
    let mut watch = scene.store.watch();
    scene.put(&key("a"), "x").await;
    scene.clock.advance(1);
    let mut reported = false;
    loop {
        match tokio::time::timeout(PATIENCE, watch.next()).await.expect("news").expect("the store is there") {
            Change::Current(at) if at > START => break,
            Change::Current(_) => {}
            Change::Keys(keys) => reported = *keys == [key("a")],
            Change::Lost => panic!("nothing was lost"),
        }
    }
    assert!(reported, "what was committed before is reported before");
}
