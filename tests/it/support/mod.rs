//! What the tests are written in: the running program, people with a browser or a bare HTTP client, their mail.
//!
//! Everything that passes through [`visitor::Visitor`] is held to the rules in [`rules`], whichever test sent it.

pub(crate) mod apply;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod declared;
pub(crate) mod dns;
pub(crate) mod jar;
pub(crate) mod journey;
pub(crate) mod ledger;
pub(crate) mod mailbox;
pub(crate) mod nginx;
pub(crate) mod nodes;
pub(crate) mod page;
pub(crate) mod process;
pub(crate) mod redis;
pub(crate) mod rules;
pub(crate) mod site;
pub(crate) mod visitor;
pub(crate) mod wire;
pub(crate) mod world;

use vestibule::clock::{Entropy, SystemEntropy};

/// `quick`, or `full` when `tests/run --full` asks for the large counts.
pub(crate) fn count(quick: usize, full: usize) -> usize {
    if std::env::var_os("VESTIBULE_TEST_FULL").is_some() { full } else { quick }
}

/// Held by a test that opens hundreds of connections at once: the server allows an address only so many.
pub(crate) async fn crowd() -> tokio::sync::MutexGuard<'static, ()> {
    static CROWD: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    CROWD.lock().await
}

/// Waits until `what` is so; the product promises a second, the machine of a test may be slow.
pub(crate) async fn soon(mut what: impl AsyncFnMut() -> bool) -> bool {
    for _ in 0..100 {
        if what().await {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    false
}

/// 256 random bits in base64url, which is also a well-formed PKCE verifier.
pub(crate) fn random() -> String {
    use base64::Engine;
    let mut bytes = [0; 32];
    SystemEntropy.fill(&mut bytes);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
