//! The store is not there.

use super::*;
use crate::support::{
    process::{Process, READY_WITHIN, vestibule},
    redis::Redis,
};

/// F-07: alive, not ready, and ready by itself once there is a Redis.
#[tokio::test]
async fn f_07_redis_is_down_at_the_start() {
    let redis = Redis::start();
    let store = redis.url();
    redis.kill();
    let nodes = Nodes::spawn(&[&store, &store]).await;
    until("listening", READY_WITHIN, async || nodes.status(0, "/healthz").is_some() && nodes.status(1, "/healthz").is_some())
        .await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        for node in [0, 1] {
            assert_eq!(nodes.status(node, "/healthz"), Some(200), "alive");
            assert_eq!(nodes.status(node, "/readyz"), Some(503), "not ready");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    says_it_is_away(&nodes.visitor(&[0]).open(&nodes.links.panel_by_id).await);
    assert_ne!(door(&nodes, &mut Visitor::new(&nodes)).await, 200, "I4: the app's door is shut");

    redis.start_again();
    for node in [0, 1] {
        until("ready", WELL_WITHIN, async || nodes.status(node, "/readyz") == Some(200)).await;
    }
    nodes.declare();
    inside(&nodes, &nodes.guest(0)).await;
}

/// F-08: gone in the middle. Pages say so, doors shut in time, nothing is taken for granted, and all is well when it is back.
#[tokio::test]
async fn f_08_redis_is_down_in_the_middle() {
    let redis = Redis::start();
    let nodes = Nodes::start(&[&redis.url(), &redis.url()]).await;
    let mut guest = inside(&nodes, &nodes.guest(0)).await;
    let mut given = Given::new(&nodes).await;
    assert!(given.ask(&mut guest).await);
    let (mut late, accept) = about_to_redeem(&nodes, &nodes.guest(1)).await;

    redis.kill();
    until("the app's door shuts", SHUT_WITHIN, async || door(&nodes, &mut guest.browser).await == 503).await;
    for node in [0, 1] {
        nodes.steer(&mut guest.browser, &[node]);
        until("the panel says so", SHUT_WITHIN, async || panel(&nodes, &mut guest.browser).await.status == 503).await;
        says_it_is_away(&panel(&nodes, &mut guest.browser).await);
        says_it_is_away(&late.browser.act(accept.clone()).await);
        let answer = given.client.token(&given.renewal(0)).await.expect(503);
        assert_eq!(answer.json()["error"], "temporarily_unavailable", "{}", answer.body);
        assert!(answer.header("retry-after").parse::<u64>().is_ok());
        assert_eq!((nodes.status(node, "/healthz"), nodes.status(node, "/readyz")), (Some(200), Some(503)));
    }
    assert_eq!(door(&nodes, &mut guest.browser).await, 503, "and stays shut");

    redis.start_again();
    guest.browser.direct = None;
    for node in [0, 1] {
        until("ready", WELL_WITHIN, async || nodes.status(node, "/readyz") == Some(200)).await;
    }
    until("the app's door opens", WELL_WITHIN, async || door(&nodes, &mut guest.browser).await == 200).await;
    still_inside(&nodes, &mut guest).await;
    let page = press_until_done(&mut late, &accept).await;
    assert!(page.page().has("sign-out"), "I3: the retry works: {}", page.body);
    given.all_are_known().await;
    redeemed(&nodes, 2).await;
}

/// A command that waits for a store says so, and for which.
#[tokio::test]
async fn a_command_says_what_it_waits_for() {
    let address = spare_address();
    let mut command = vestibule();
    command.args(["store", "check", &url_at(address)]);
    let (process, _) = Process::spawn(command);
    until("it says so", Duration::from_secs(5), async || process.log().contains("no answer yet")).await;
    assert!(process.log().starts_with(&format!("redis://{address}")), "{}", process.log());
    assert_eq!(process.wait(Duration::ZERO), None, "it goes on waiting");
}
