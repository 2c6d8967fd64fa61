//! What the layer needs of a tenant's provider, wherever that runs.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    clock::{Clock, Entropy},
    domain::AppId,
    error::Code,
    live::Live,
    oidc::{Issuer, PublicKeys},
    seal::KeyRing,
    secret::Secret,
};

pub(crate) mod sealed {
    /// Implemented in this crate only: a provider decides who gets in.
    pub trait Sealed {}
}

/// A tenant's provider as the layer sees it. There are two: in this process, and at the other end of a connection.
///
/// What is not `async` is asked on every request and answers from memory.
#[async_trait]
pub trait Provider: sealed::Sealed + Send + Sync + 'static {
    /// Whose provider it is.
    fn issuer(&self) -> &Issuer;

    /// What is known of sessions and terms at this moment.
    fn live(&self) -> &dyn Live;

    /// The time.
    fn clock(&self) -> &dyn Clock;

    /// Randomness.
    fn entropy(&self) -> &dyn Entropy;

    /// What seals the cookies of an app. All instances of the app have to have the same.
    fn key_ring(&self) -> Arc<KeyRing>;

    /// The keys that tokens are verified with; `None` while they have never been fetched. The same `Arc` until they change.
    fn keys(&self) -> Option<Arc<PublicKeys>>;

    /// Fetches the keys anew, unless that was done a moment ago: whoever sends a token with an unknown key asks for this
    /// (checklist J-03). Failing is silent, and leaves the keys as they were.
    async fn refresh_keys(&self);

    /// Where browsers are sent.
    ///
    /// # Errors
    /// [`Code::LiveStale`] when the provider was never reached.
    async fn endpoints(&self) -> Result<SignInEndpoints, Code>;

    /// Trades a code for an ID token, which the layer verifies.
    ///
    /// # Errors
    /// [`Code::GrantInvalid`] when the code is worth nothing (any more), [`Code::ClientAuthentication`] when the app itself is
    /// not accepted, [`Code::LiveStale`] when the provider cannot be reached.
    async fn exchange(&self, app: AppId, code: Secret, verifier: Secret, redirect_uri: &str) -> Result<Secret, Code>;
}

/// Where browsers are sent to sign in and out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInEndpoints {
    /// The authorization endpoint.
    pub authorization: String,
    /// The end-session endpoint.
    pub end_session: Option<String>,
}
