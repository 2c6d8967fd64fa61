//! How often each operation asks Redis, counted by Redis itself. The exact numbers, without what goes on beside, are tested in
//! the crate, see `http::tests::round_trips`.

use std::time::Duration;

use crate::support::{client::Client, journey::Guest, nodes::Nodes, process::SignsInWith, redis::Redis};

/// What the worker that sends a mail asks beside: reads it, claims it, reads it again, erases it, and looks whether it is gone.
const ONE_MAIL: u64 = 5;

/// Reads and commits so far: the feed is followed by other commands. Waits until nothing is under way.
async fn asked(redis: &Redis) -> u64 {
    let calls = || -> u64 {
        let stats = redis.cli(&["INFO", "commandstats"]);
        let of = |name: &str| {
            let line = stats.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":calls="));
            line.map_or(0, |line| line.split(',').next().and_then(|calls| calls.parse().ok()).expect("a number"))
        };
        of("cmdstat_evalsha") + of("cmdstat_mget")
    };
    let mut before = calls();
    loop {
        tokio::time::sleep(Duration::from_millis(400)).await;
        match calls() {
            now if now == before => return now,
            now => before = now,
        }
    }
}

#[tokio::test]
async fn redis_counts_few_round_trips() {
    let redis = Redis::start();
    let nodes = Nodes::start(&[&redis.url()]).await;
    let client = Client::of(&nodes).await;
    // The tenant and its terms are known from here on.
    Guest { browser: nodes.visitor(&[0]), ..Guest::new(&nodes, nodes.guest(0)) }
        .arrive(&nodes.links.panel_by_id)
        .await
        .expect(200);

    let mut guest = Guest::new(&nodes, nodes.guest(1));
    assert_eq!(guest.person.signs_in_with, SignsInWith::OneTimePasscode);
    let request = client.request().with("scope", "openid offline_access").with("prompt", "consent");
    let mut last = asked(&redis).await;
    let mut trips = async |what: &str| {
        let now = asked(&redis).await;
        let trips = now - last;
        last = now;
        println!("{what}: {trips} round trips");
        trips
    };
    let code = client.code(&mut guest, &request).await;
    assert!(guest.pressed.contains(&"accept"), "a first redemption: {:?}", guest.pressed);
    assert!(trips("a first redemption, and one mail").await <= 6 + ONE_MAIL);
    let tokens = client.exchange(&nodes, &code, &request).await;
    assert!(trips("token").await <= 2);
    client.userinfo(&tokens.access_token).await.expect(200);
    assert!(trips("userinfo").await <= 1);
    let refresh = [("grant_type", "refresh_token".to_owned()), ("refresh_token", tokens.refresh_token.expect("a refresh token"))];
    client.token(&refresh).await.expect(200);
    assert!(trips("refresh").await <= 2);
    let again = client.request();
    let code = client.code(&mut guest, &again).await;
    assert!(trips("authorize with a session").await <= 2);
    client.exchange(&nodes, &code, &again).await;
    assert!(trips("token").await <= 2);

    // An app's own door, which follows the feed: nothing at all.
    guest.arrive(&nodes.app.url).await.expect(200);
    trips("signing in to the app").await;
    for _ in 0..20 {
        assert!(guest.browser.visit(&nodes.app.url).await.expect(200).body.contains("Hello"));
    }
    assert_eq!(trips("twenty authenticated requests").await, 0);
}
