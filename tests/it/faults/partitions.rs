//! The store is there, and some cannot reach it, or reach one that should be it no longer.

use super::*;
use crate::support::{
    redis::{Redis, url_at},
    wire::{Mode, Wire},
};

/// F-34: one node is cut off. It shuts; the other goes on; what was changed meanwhile is known before it opens again.
#[tokio::test]
async fn f_34_one_node_is_cut_off_from_the_store() {
    let redis = Redis::start();
    let wires = [Wire::to(redis.address), Wire::to(redis.address)];
    let nodes = Nodes::start(&[&url_at(wires[0].address), &url_at(wires[1].address)]).await;
    let mut blocked = inside(&nodes, &nodes.guest(0)).await;
    let mut other = inside(&nodes, &nodes.guest(1)).await;
    for guest in [&mut blocked, &mut other] {
        nodes.steer(&mut guest.browser, &[0]);
    }

    wires[0].set(Mode::Cut);
    until("the node that is cut off shuts", SHUT_WITHIN, async || panel(&nodes, &mut blocked.browser).await.status == 503).await;
    says_it_is_away(&panel(&nodes, &mut other.browser).await);
    assert_eq!((nodes.status(0, "/healthz"), nodes.status(0, "/readyz")), (Some(200), Some(503)));
    // The other one is well, and blocks somebody.
    nodes.steer(&mut other.browser, &[1]);
    assert!(panel(&nodes, &mut other.browser).await.expect(200).page().has("sign-out"));
    let mail = &blocked.person.email;
    let declared = format!("[[tenant.user]]\ndisplay_name = \"A guest\"\nmail = \"{mail}\"\naccount_enabled = false\n");
    let applied = nodes.apply_on(1, &declared);
    assert!(applied.status.success(), "{applied:?}");
    let refused = nodes.apply_on(0, &declared);
    assert!(!refused.status.success(), "nothing is acknowledged by a node without a store");
    assert_eq!(panel(&nodes, &mut blocked.browser).await.status, 503);
    // The app's door listens to either node: it hears of the block, or hears nothing and shuts.
    until("the app's door is shut for the one", SHUT_WITHIN, async || door(&nodes, &mut blocked.browser).await != 200).await;

    wires[0].set(Mode::Pass);
    nodes.steer(&mut other.browser, &[0]);
    until("the node is back", WELL_WITHIN, async || {
        // At no moment does it let in whom it was not told of.
        let answer = panel(&nodes, &mut blocked.browser).await;
        assert!(!answer.page().has("sign-out"), "I2: let in although blocked");
        assert_ne!(door(&nodes, &mut blocked.browser).await, 200, "I2: let in although blocked");
        panel(&nodes, &mut other.browser).await.status == 200
    })
    .await;
    nodes.steer(&mut other.browser, &[0, 1]);
    until("the app's door", WELL_WITHIN, async || door(&nodes, &mut other.browser).await == 200).await;
    still_inside(&nodes, &mut other).await;
    assert_ne!(door(&nodes, &mut blocked.browser).await, 200);
    redeemed(&nodes, 2).await;
}

/// F-35: the old primary still answers one node. It takes the writes at first, and its node must not say that they are done:
/// not when they are made, and not when they are found again.
#[tokio::test]
async fn f_35_an_old_primary_acknowledges_nothing() {
    let split = Split::start().await;
    let nodes = &split.nodes;
    let (mut guest, accept) = about_to_redeem(nodes, &nodes.guest(0)).await;
    nodes.steer(&mut guest.browser, &[0]);
    split.wire.set(Mode::Cut);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        let answer = guest.browser.act(accept.clone()).await;
        says_it_is_away(&guest.browser.follow(answer).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(nodes.status(0, "/healthz"), Some(200));
    split.set.until_moved_from(split.wire.address);
    says_it_is_away(&guest.browser.act(accept.clone()).await);

    // The old primary is told that it is a replica now; what it had taken is gone, and was never acknowledged.
    split.wire.set(Mode::Pass);
    split.set.until_followed();
    says_it_is_away(&guest.browser.act(accept.clone()).await);
    nodes.steer(&mut guest.browser, &[1]);
    let page = press_until_done(&mut guest, &accept).await;
    assert!(page.page().has("sign-out"), "I3: the retry works: {}", page.body);
    redeemed_at(nodes, 1, 1).await;
}
