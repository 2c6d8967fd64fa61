//! Nodes and servers end and come back, on purpose or not.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::*;
use crate::support::redis::Redis;

/// How long a node may take to end: its drain, and a moment.
const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// F-20: whoever is signed in stays so, whichever node is restarted and when Redis is killed.
#[tokio::test]
async fn f_20_sessions_outlive_nodes_and_redis() {
    let redis = Redis::start();
    let mut nodes = Nodes::start(&[&redis.url(), &redis.url()]).await;
    let (browser, person) = {
        let guest = inside(&nodes, &nodes.guest(0)).await;
        (guest.browser.clone(), guest.person.clone())
    };
    for node in [0, 1] {
        nodes.process_of(node).signal("TERM");
        let ended = nodes.process_of(node).wait(ENDED_WITHIN);
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}\n{}", nodes.process_of(node).log());
        nodes.start_again(node);
        nodes.until_ready(node);
    }
    let mut guest = Guest { browser: browser.reconnected(), ..Guest::new(&nodes, person) };
    until("the app's door", WELL_WITHIN, async || door(&nodes, &mut guest.browser).await == 200).await;
    still_inside(&nodes, &mut guest).await;

    redis.kill();
    redis.start_again();
    for node in [0, 1] {
        until("ready", WELL_WITHIN, async || nodes.status(node, "/readyz") == Some(200)).await;
    }
    until("the app's door", WELL_WITHIN, async || door(&nodes, &mut guest.browser).await == 200).await;
    still_inside(&nodes, &mut guest).await;
    redeemed(&nodes, 1).await;
}

/// F-21: nodes are restarted one after the other while people click; nobody notices.
#[tokio::test(flavor = "multi_thread")]
async fn f_21_nodes_are_restarted_under_load() {
    let redis = Redis::start();
    let mut nodes = Nodes::start(&[&redis.url(), &redis.url()]).await;
    let mut browsers = Vec::new();
    for number in 0..3 {
        browsers.push(inside(&nodes, &nodes.guest(number)).await.browser);
    }
    let (stop, clicks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clicking = tokio::task::JoinSet::new();
    for mut browser in browsers {
        let (stop, clicks, panel) = (Arc::clone(&stop), Arc::clone(&clicks), nodes.links.panel_by_id.clone());
        clicking.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let answer = browser.visit(&panel).await.expect(200);
                assert!(answer.page().has("sign-out"), "{}", answer.body);
                clicks.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for node in [0, 1] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        nodes.process_of(node).signal("TERM");
        let ended = nodes.process_of(node).wait(ENDED_WITHIN);
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}\n{}", nodes.process_of(node).log());
        nodes.start_again(node);
        nodes.until_ready(node);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(done) = clicking.join_next().await {
        done.expect("nobody notices");
    }
    eprintln!("{} clicks over two restarts", clicks.load(Ordering::Relaxed));
    redeemed(&nodes, 3).await;
}

/// F-21, F-04: the answer that redeems is under way when its node is asked to end, or is killed. Pressed again at the other
/// node, it has happened once.
#[tokio::test]
async fn f_21_a_redemption_under_way_when_its_node_ends_happens_once() {
    let redis = Redis::start();
    let mut nodes = Nodes::start(&[&redis.url(), &redis.url()]).await;
    for (number, signal) in ["TERM", "KILL", "TERM", "KILL"].into_iter().enumerate() {
        let person = nodes.guest(number);
        let (browser, accept) = {
            let (mut guest, accept) = about_to_redeem(&nodes, &person).await;
            nodes.steer(&mut guest.browser, &[0]);
            guest.browser.may_crash = true;
            let (browser, action) = (guest.browser.clone(), accept.clone());
            let pressed = tokio::spawn(async move {
                let mut browser = browser;
                browser.act(action).await
            });
            tokio::time::sleep(Duration::from_millis(number as u64 * 3)).await;
            nodes.process_of(0).signal(signal);
            let answer = pressed.await.expect("pressed");
            assert!(answer.status.is_redirection() || answer.status.as_u16() >= 503, "{}", answer.body);
            (guest.browser.clone().reconnected(), accept)
        };
        assert!(nodes.process_of(0).wait(ENDED_WITHIN).is_some());
        let mut guest = Guest { browser, ..Guest::new(&nodes, person) };
        nodes.steer(&mut guest.browser, &[1]);
        let page = press_until_done(&mut guest, &accept).await;
        let page = if page.page().has("sign-out") { page } else { guest.arrive(&nodes.links.panel_by_id).await };
        assert!(page.page().has("sign-out"), "I3: {}", page.body);
        nodes.start_again(0);
        nodes.until_ready(0);
    }
    redeemed(&nodes, 4).await;
}
