//! Another server takes the primary's place.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::support::{visitor::Direct, wire::Mode};

/// F-10, the marker is kept: the redemption is recorded and replicated, its answer is lost, and the primary dies. Pressed
/// again, it has happened once.
#[tokio::test(flavor = "multi_thread")]
async fn f_10_a_redemption_outlives_its_primary_and_is_not_done_again() {
    let set = Sentinels::start();
    let nodes = Nodes::start(&[&set.url(), &set.url()]).await;
    let (mut guest, accept) = about_to_redeem(&nodes, &nodes.guest(0)).await;
    // Between this browser and its node.
    let line = Wire::to(nodes.address(0));
    let mut cut_off = guest.browser.clone();
    cut_off.direct = Some(Direct::to(vec![line.address]));
    cut_off.may_crash = true;
    line.set(Mode::Stall { up: false, down: true });
    let (action, pressed_from) = (accept.clone(), cut_off);
    let pressed = tokio::spawn(async move {
        let mut browser = pressed_from;
        browser.act(action).await
    });
    let recorded = async || Ledger::read(nodes.config(1)).await.redeemed().len() == 1;
    until("recorded", WELL_WITHIN, recorded).await;
    let old = set.kill_primary();
    pressed.abort();
    old.start_again();
    set.until_followed();
    let page = press_until_done(&mut guest, &accept).await;
    let page = if page.page().has("sign-out") { page } else { guest.arrive(&nodes.links.panel_by_id).await };
    assert!(page.page().has("sign-out"), "I3: {}", page.body);
    redeemed(&nodes, 1).await;
}

/// F-10, the marker is lost: the primary takes the redemption, no replica has it, and the primary dies. Nobody was told that
/// it was done; pressed again, it is, once, also when the old primary comes back with what it remembers.
#[tokio::test]
async fn f_10_a_redemption_that_a_failover_forgot_was_never_acknowledged() {
    let split = Split::start().await;
    let nodes = &split.nodes;
    let (mut guest, accept) = about_to_redeem(nodes, &nodes.guest(0)).await;
    nodes.steer(&mut guest.browser, &[0]);
    split.wire.set(Mode::Cut);
    says_it_is_away(&guest.browser.act(accept.clone()).await);
    let [old, _] = &split.set.servers;
    old.kill();
    split.set.until_moved_from(split.wire.address);
    old.start_again();
    for _ in 0..10 {
        says_it_is_away(&guest.browser.act(accept.clone()).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    split.wire.set(Mode::Pass);
    split.set.until_followed();
    nodes.steer(&mut guest.browser, &[1]);
    let page = press_until_done(&mut guest, &accept).await;
    assert!(page.page().has("sign-out"), "I3: the retry works: {}", page.body);
    redeemed_at(nodes, 1, 1).await;
}

/// How many people ask for tokens at once.
const PEOPLE: usize = 4;

/// People ask for tokens all the while; whatever was given has to be there afterwards, on the server that is primary then.
async fn nothing_is_lost(set: Sentinels, store: &str, happens: impl FnOnce(&Sentinels) + Send + 'static) {
    let nodes = Nodes::start(&[store, store]).await;
    let over = AtomicBool::new(false);
    let failing = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_secs(2));
        happens(&set);
        set.until_followed();
        set
    });
    let watching = async {
        let set = failing.await.expect("the failover");
        over.store(true, Ordering::Relaxed);
        set
    };
    let asking = (0..PEOPLE).map(|number| ask_on(&nodes, number, &over));
    let (_set, given) = tokio::join!(watching, futures_util::future::join_all(asking));
    for (mut guest, given) in given {
        given.all_are_known().await;
        until("the app's door", WELL_WITHIN, async || door(&nodes, &mut guest.browser).await == 200).await;
        still_inside(&nodes, &mut guest).await;
    }
    redeemed(&nodes, PEOPLE).await;
}

/// Asks and asks, until a few times after it is over.
async fn ask_on<'a>(nodes: &'a Nodes, number: usize, over: &AtomicBool) -> (Guest<'a>, Given) {
    let mut guest = inside(nodes, &nodes.guest(number)).await;
    let mut given = Given::new(nodes).await;
    let (mut refused, mut last, mut longest, mut after) = (0, Instant::now(), Duration::ZERO, 0);
    while after < 3 {
        let is_over = over.load(Ordering::Relaxed);
        if given.ask(&mut guest).await {
            longest = longest.max(last.elapsed());
            last = Instant::now();
            after += usize::from(is_over);
        } else {
            refused += 1;
            assert!(last.elapsed() < Duration::from_secs(45), "tokens are not given again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    eprintln!("{} given, {refused} refused, at most {} ms without one", given.refresh.len(), longest.as_millis());
    (guest, given)
}

#[tokio::test(flavor = "multi_thread")]
async fn f_10_a_planned_failover_loses_nothing_that_was_acknowledged() {
    let set = Sentinels::start();
    let store = set.url();
    nothing_is_lost(set, &store, Sentinels::failover).await;
}

/// Where servers take writes without a replica, what the store asks for is all that stands between a guest and a promise that
/// is not kept: the old primary goes on taking whatever is sent to it.
#[tokio::test(flavor = "multi_thread")]
async fn f_10_acknowledgements_alone_lose_nothing_in_a_planned_failover() {
    let set = Sentinels::start();
    for server in &set.servers {
        server.config_set("min-replicas-to-write", "0");
    }
    let store = format!("{}&acknowledgements=1&accept=lost-on-failover", set.url());
    nothing_is_lost(set, &store, Sentinels::failover).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f_10_a_primary_that_dies_takes_nothing_with_it_that_was_acknowledged() {
    let set = Sentinels::start();
    let store = set.url();
    nothing_is_lost(set, &store, |set| set.kill_primary().start_again()).await;
}
