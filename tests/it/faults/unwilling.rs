//! A Redis that would lose records is refused; one that takes no writes is away for whoever wants to write.

use super::*;
use crate::support::redis::Redis;

/// F-11: what would lose acknowledged records is refused with the setting to change, or has to be accepted by name.
#[tokio::test]
async fn f_11_a_redis_that_would_lose_records_is_refused_by_name() {
    for (line, setting, risk) in [
        ("maxmemory-policy allkeys-lru", "maxmemory-policy", "lost-on-eviction"),
        ("appendonly no", "appendonly", "lost-on-restart"),
        ("appendfsync everysec", "appendfsync", "lost-on-power-cut"),
    ] {
        let redis = Redis::start_with(&[line]);
        let refused = Nodes::spawn(&[&redis.url()]).await;
        let ended = refused.process().wait(Duration::from_secs(30));
        let log = refused.process().log();
        assert!(ended.is_some_and(|status| status.code() == Some(1)), "{line}: {ended:?}\n{log}");
        assert!(log.contains(setting) && log.contains(&format!("accept={risk}")), "{line}: {log}");

        let accepted = Nodes::spawn(&[&format!("{}&accept={risk}", redis.url())]).await;
        accepted.until_ready(0);
    }
}

/// While no write is taken: pages say so, nothing is half done, and the same press works when writes are taken again.
async fn takes_no_writes(redis: &Redis, stop: impl Fn(), go_on: impl Fn()) {
    let nodes = Nodes::start(&[&redis.url(), &redis.url()]).await;
    let mut guest = inside(&nodes, &nodes.guest(0)).await;
    let mut given = Given::new(&nodes).await;
    assert!(given.ask(&mut guest).await);
    let (mut late, accept) = about_to_redeem(&nodes, &nodes.guest(1)).await;

    stop();
    for node in [0, 1] {
        nodes.steer(&mut late.browser, &[node]);
        until("refused", SHUT_WITHIN, async || late.browser.act(accept.clone()).await.status == 503).await;
        says_it_is_away(&late.browser.act(accept.clone()).await);
        let answer = given.client.token(&given.renewal(0)).await.expect(503);
        assert_eq!(answer.json()["error"], "temporarily_unavailable", "{}", answer.body);
        assert_eq!(nodes.status(node, "/healthz"), Some(200));
    }
    // Who is inside may stay or be told to wait, and nothing else.
    let answer = panel(&nodes, &mut guest.browser).await;
    assert!(answer.status == 503 || answer.page().has("sign-out"), "{}: {}", answer.status, answer.body);

    go_on();
    late.browser.direct = None;
    let page = press_until_done(&mut late, &accept).await;
    assert!(page.page().has("sign-out"), "I3: the retry works: {}", page.body);
    until("the app's door", WELL_WITHIN, async || door(&nodes, &mut guest.browser).await == 200).await;
    still_inside(&nodes, &mut guest).await;
    given.all_are_known().await;
    redeemed(&nodes, 2).await;
}

#[tokio::test]
async fn f_11_redis_is_out_of_memory() {
    let redis = Redis::start();
    takes_no_writes(&redis, || redis.config_set("maxmemory", "1"), || redis.config_set("maxmemory", "0")).await;
}

/// MISCONF: it cannot write its snapshot, because its folder is gone.
#[tokio::test]
async fn f_11_redis_cannot_write_to_its_disk() {
    let redis = Redis::start_with(&["save 3600 100000", "stop-writes-on-bgsave-error yes"]);
    let stop = || {
        std::fs::remove_dir_all(redis.path()).expect("removed");
        redis.cli(&["bgsave"]);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !redis.cli(&["set", "more", "yes"]).contains("MISCONF") {
            assert!(Instant::now() < deadline, "it still writes");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    takes_no_writes(&redis, stop, || redis.config_set("stop-writes-on-bgsave-error", "no")).await;
}
