//! The contract on every shape of Redis, and what only Redis can get wrong.
//!
//! The servers are started by `tests/servers`; each test has a namespace of its own.

use std::sync::Arc;

use super::*;
use crate::{
    clock::random_uuid,
    store::{SharedStore, contract},
};

/// The URL in `variable`, with a namespace that nothing was ever written under.
#[expect(clippy::disallowed_methods, reason = "where the servers are differs from run to run")]
fn settings(variable: &str) -> RedisSettings {
    let url = std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: `tests/run` does, or `tests/servers start DIR`"));
    let namespace = random_uuid(&SystemEntropy).simple();
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}namespace={namespace}").parse().unwrap_or_else(|problem| panic!("{variable}: {problem}"))
}

async fn open(variable: &str, clock: Arc<dyn Clock>) -> (SharedStore, ()) {
    let store = RedisStore::start(settings(variable), clock);
    store.ready().await.unwrap_or_else(|reason| panic!("{variable}: {reason}"));
    (Arc::new(store), ())
}

mod single {
    use super::*;

    async fn store(clock: Arc<dyn Clock>) -> (SharedStore, ()) {
        open("VESTIBULE_TEST_REDIS", clock).await
    }

    contract::contract_tests!(store);
}

mod tls {
    use super::*;

    async fn store(clock: Arc<dyn Clock>) -> (SharedStore, ()) {
        open("VESTIBULE_TEST_REDIS_TLS", clock).await
    }

    contract::contract_tests!(store);
}

mod sentinel {
    use super::*;

    async fn store(clock: Arc<dyn Clock>) -> (SharedStore, ()) {
        open("VESTIBULE_TEST_SENTINEL", clock).await
    }

    contract::contract_tests!(store);
}

mod cluster {
    use super::*;

    async fn store(clock: Arc<dyn Clock>) -> (SharedStore, ()) {
        open("VESTIBULE_TEST_CLUSTER", clock).await
    }

    contract::contract_tests!(store);
}
