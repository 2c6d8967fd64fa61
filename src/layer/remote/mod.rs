//! The layer as relying party of a Vestibule server elsewhere.
//!
//! The app starts whether or not the server is there. In the background one task follows the tenant's live feed and another
//! keeps its metadata and keys; requests ask memory. While the server is out of touch, people who have to sign in are told so,
//! and after [`RemoteConfig::max_silence`] nobody passes.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::{runtime::Handle, sync::Notify, task::JoinSet};

use super::{GuestLayer, Provider, SetupError, SignInEndpoints, provider::sealed};
use crate::{
    clock::{Clock, Entropy, SystemClock, SystemEntropy},
    domain::{AppId, WebUrl},
    error::Code,
    live::{Live, LiveState},
    oidc::{Issuer, PublicKeys},
    outbound::{Client, OutboundPolicy},
    seal::KeyRing,
    secret::Secret,
};

mod feed;
mod party;

use self::party::Party;

/// What an app has to know to be let in by a Vestibule server.
#[derive(Clone)]
pub struct RemoteConfig {
    /// The tenant's issuer, `https://host/<tenant id>/v2.0`.
    pub issuer: Issuer,
    /// The app's id.
    pub client_id: AppId,
    /// The app's secret. The key of its session cookies follows from it: when it changes, everybody signs in anew.
    pub client_secret: Secret,
    /// The origin under which browsers reach the app.
    pub app_url: WebUrl,
    /// How long the door believes what it knows without hearing from the server. At least two seconds: the server speaks once
    /// a second.
    pub max_silence: SignedDuration,
    /// Further roots to trust beside the system's, PEM: the certificate authority of a company.
    pub extra_roots_pem: Option<String>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl RemoteConfig {
    /// The usual configuration of an app.
    #[must_use]
    pub fn new(issuer: Issuer, client_id: AppId, client_secret: Secret, app_url: WebUrl) -> Self {
        Self {
            issuer,
            client_id,
            client_secret,
            app_url,
            max_silence: LiveState::MAX_SILENCE,
            extra_roots_pem: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// Requests go to the server that the operator named, wherever that is, and nowhere else that is not public.
    fn outbound(&self) -> Result<Client, SetupError> {
        let base: WebUrl = self.issuer.base().parse().map_err(|_| SetupError::Issuer)?;
        let (host, port) = (base.as_url().host_str(), base.as_url().port_or_known_default());
        let (Some(host), Some(port)) = (host, port) else { return Err(SetupError::Issuer) };
        let policy = OutboundPolicy::parse(&[format!("{host}:{port}")]).map_err(|_| SetupError::Issuer)?;
        let roots = self.extra_roots_pem.iter().cloned();
        Ok(Client::new(roots.fold(policy, OutboundPolicy::with_root))?)
    }
}

impl std::fmt::Debug for RemoteConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("RemoteConfig");
        shown.field("issuer", &self.issuer.as_str()).field("client_id", &self.client_id).field("app_url", &self.app_url.as_str());
        shown.finish_non_exhaustive()
    }
}

impl GuestLayer {
    /// A door of an app to the tenant whose provider is elsewhere. Returns at once; the server need not be there yet.
    ///
    /// Two background tasks run on the current Tokio runtime until the last clone of the layer, and of the services made with
    /// it, is gone.
    ///
    /// # Errors
    /// When the configuration is unusable, or there is no Tokio runtime.
    pub fn remote(config: RemoteConfig) -> Result<Self, SetupError> {
        let runtime = Handle::try_current().map_err(|_| SetupError::NoRuntime)?;
        let (app, app_url) = (config.client_id, config.app_url.clone());
        let party = Arc::new(Party::new(config.outbound()?, config));
        let mut tasks = JoinSet::new();
        tasks.spawn_on(feed::follow(Arc::clone(&party)), &runtime);
        tasks.spawn_on(party::keep(Arc::clone(&party)), &runtime);
        Self::embedded(Arc::new(Remote { party, _tasks: tasks }), app, &app_url)
    }
}

/// A provider at the other end of a connection.
struct Remote {
    party: Arc<Party>,
    /// Stops its tasks when it is dropped.
    _tasks: JoinSet<()>,
}

impl sealed::Sealed for Remote {}

#[async_trait]
impl Provider for Remote {
    fn issuer(&self) -> &Issuer {
        &self.party.config.issuer
    }

    fn live(&self) -> &dyn Live {
        &self.party.live
    }

    fn clock(&self) -> &dyn Clock {
        &*self.party.config.clock
    }

    fn entropy(&self) -> &dyn Entropy {
        &*self.party.config.entropy
    }

    fn key_ring(&self) -> Arc<KeyRing> {
        Arc::new(KeyRing::derived(self.party.config.client_secret.expose().as_bytes(), "app-session"))
    }

    fn keys(&self) -> Option<Arc<PublicKeys>> {
        self.party.keys()
    }

    async fn refresh_keys(&self) {
        self.party.refresh_keys(party::Urgency::Asked).await;
    }

    async fn endpoints(&self) -> Result<SignInEndpoints, Code> {
        self.party.endpoints().await
    }

    async fn exchange(&self, _: AppId, code: Secret, verifier: Secret, redirect_uri: &str) -> Result<Secret, Code> {
        self.party.exchange(code, verifier, redirect_uri).await
    }
}

/// Tells the keeping task that metadata and keys may have changed.
type Changed = Notify;
