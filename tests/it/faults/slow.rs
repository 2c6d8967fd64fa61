//! The store is there and slow, or says nothing.

use std::sync::Arc;

use super::*;
use crate::support::{
    redis::{Redis, url_at},
    wire::{Mode, Wire},
};

/// A second a store operation; a request has a few, and the machine of a test has other things to do.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// How long the probe may take while hundreds wait for the store.
const PROBED_WITHIN: Duration = Duration::from_millis(1500);

/// Sends `count` renewals together, each of which needs the store; gives what came of each, and the slowest.
async fn together(given: &Arc<Given>, count: usize) -> (Vec<u16>, Duration) {
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..count {
        let given = Arc::clone(given);
        requests.spawn(async move {
            let begun = Instant::now();
            let status = given.client.token(&given.renewal(0)).await.status.as_u16();
            (status, begun.elapsed())
        });
    }
    let answers = requests.join_all().await;
    let slowest = answers.iter().map(|(_, took)| *took).max().unwrap_or_default();
    (answers.into_iter().map(|(status, _)| status).collect(), slowest)
}

/// F-09: everybody is answered within the deadline, nobody piles up, the probe stays fast, and the time after is as before.
async fn answers_in_time(mode: Mode) {
    let redis = Redis::start();
    let wire = Wire::to(redis.address);
    let store = url_at(wire.address);
    let nodes = Nodes::start(&[&store, &store]).await;
    let mut guest = inside(&nodes, &nodes.guest(0)).await;
    let mut given = Given::new(&nodes).await;
    assert!(given.ask(&mut guest).await);
    let given = Arc::new(given);

    wire.set(mode);
    let begun = Instant::now();
    let mut slowest_of_all = Duration::ZERO;
    // Wave after wave, from before anybody knows to long after.
    while begun.elapsed() < Duration::from_secs(8) {
        let wave = tokio::spawn({
            let given = Arc::clone(&given);
            async move { together(&given, 60).await }
        });
        let probed = Instant::now();
        for node in [0, 1] {
            assert_eq!(nodes.status(node, "/healthz"), Some(200));
        }
        assert!(probed.elapsed() < PROBED_WITHIN, "{mode:?}: the probe took {:?}", probed.elapsed());
        let (statuses, slowest) = wave.await.expect("a wave");
        assert!(slowest < ANSWERED_WITHIN, "{mode:?}: {slowest:?}");
        assert!(statuses.iter().all(|status| *status == 503), "{mode:?}: I4: {statuses:?}");
        slowest_of_all = slowest_of_all.max(slowest);
    }
    eprintln!("{mode:?}: the slowest answer took {} ms", slowest_of_all.as_millis());
    until("the app's door shuts", SHUT_WITHIN, async || door(&nodes, &mut guest.browser).await == 503).await;
    says_it_is_away(&panel(&nodes, &mut guest.browser).await);
    assert_eq!(nodes.status(0, "/readyz"), Some(503));

    wire.set(Mode::Pass);
    for node in [0, 1] {
        until("ready", WELL_WITHIN, async || nodes.status(node, "/readyz") == Some(200)).await;
    }
    until("the app's door opens", WELL_WITHIN, async || door(&nodes, &mut guest.browser).await == 200).await;
    still_inside(&nodes, &mut guest).await;
    redeemed(&nodes, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f_09_redis_takes_two_seconds() {
    answers_in_time(Mode::Delay(Duration::from_secs(1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f_09_redis_takes_ten_seconds() {
    answers_in_time(Mode::Delay(Duration::from_secs(5))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f_09_redis_hears_and_says_nothing() {
    answers_in_time(Mode::Stall { up: false, down: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f_09_redis_is_half_open() {
    answers_in_time(Mode::Stall { up: true, down: true }).await;
}
