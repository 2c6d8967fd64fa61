//! Nodes that share a store are one: what is begun on one ends on the other, what is done on one is known to the other,
//! and what both do at one moment happens once.

mod crossing;
mod news;
mod races;
mod round_trips;

use std::time::{Duration, Instant};

use crate::support::{nodes::Nodes, random, redis::shared};

/// Two nodes on the Redis that all tests share.
async fn two() -> Nodes {
    let store = shared("VESTIBULE_TEST_REDIS", &namespace());
    Nodes::start(&[&store, &store]).await
}

/// One that nobody else has.
fn namespace() -> String {
    random().chars().filter(char::is_ascii_alphanumeric).take(12).collect()
}

/// How long until `so`, from now; prints it (`--nocapture`). The promise is a second. A test fails far above it only, since
/// the machine of a test may have other things to do.
async fn seen(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < Duration::from_secs(5), "{what}: not seen by the other node within 5 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    eprintln!("{what}: seen by the other node after {} ms", begun.elapsed().as_millis());
}
