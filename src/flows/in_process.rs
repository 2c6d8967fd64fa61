//! The provider of a tenant for a [`GuestLayer`](crate::layer::GuestLayer) in the same process: the embedded form.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Vestibule, directory::TenantView, tokens};
use crate::{
    clock::{Clock, Entropy},
    domain::{AppId, TenantId},
    error::Code,
    layer::{Provider, SignInEndpoints, provider::sealed::Sealed},
    live::{Live, LiveEvent},
    oidc::{
        Endpoints, Issuer, PublicKeys,
        grant::{Client, CodeExchange},
    },
    seal::KeyRing,
    secret::Secret,
    store::StoreError,
};

/// How long to wait before keys that could not be read are read again.
const AGAIN: Duration = Duration::from_millis(500);

/// A tenant's provider in this process. Codes are traded without HTTP; what is live is the server's own memory.
pub struct InProcess {
    vestibule: Arc<Vestibule>,
    tenant: TenantId,
    endpoints: Endpoints,
    keys: Arc<ArcSwap<PublicKeys>>,
    /// Stops following the tenant's keys when the provider is dropped.
    _follow: DropGuard,
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl InProcess {
    /// The provider of `tenant` for the door of `app`. The server whose context this is has to be running.
    ///
    /// # Errors
    /// [`Code::TenantUnknown`], [`Code::AppUnknown`] or [`Code::StoreUnavailable`].
    pub async fn new(vestibule: Arc<Vestibule>, tenant: TenantId, app: AppId) -> Result<Self, Code> {
        // Subscribed before the keys are read, so that no change falls between.
        let mut feed = vestibule.feed.subscribe(tenant, app, None);
        let view = view(&vestibule, tenant).await?;
        if !view.apps.contains_key(&app) {
            return Err(Code::AppUnknown);
        }
        let keys = Arc::new(ArcSwap::from_pointee(view.keys.public().clone()));
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned({
            let (vestibule, keys) = (Arc::clone(&vestibule), Arc::clone(&keys));
            async move {
                loop {
                    match feed.next().await {
                        Ok(line) if line.event != Some(LiveEvent::KeysChanged) => continue,
                        Ok(_) => {}
                        Err(_) => feed = vestibule.feed.subscribe(tenant, app, None),
                    }
                    loop {
                        match self::view(&vestibule, tenant).await {
                            Ok(view) => break keys.store(Arc::new(view.keys.public().clone())),
                            Err(_) => tokio::time::sleep(AGAIN).await,
                        }
                    }
                }
            }
        }));
        Ok(Self { endpoints: Endpoints::new(view.keys.issuer().clone()), vestibule, tenant, keys, _follow: stop.drop_guard() })
    }
}

async fn view(vestibule: &Vestibule, tenant: TenantId) -> Result<Arc<TenantView>, Code> {
    vestibule.directory.tenant(tenant).await.map_err(StoreError::refusal)?.ok_or(Code::TenantUnknown)
}

impl Sealed for InProcess {}

#[async_trait]
impl Provider for InProcess {
    fn issuer(&self) -> &Issuer {
        &self.endpoints.issuer
    }

    fn live(&self) -> &dyn Live {
        &*self.vestibule.live
    }

    fn clock(&self) -> &dyn Clock {
        &*self.vestibule.foundation.clock
    }

    fn entropy(&self) -> &dyn Entropy {
        &*self.vestibule.foundation.entropy
    }

    fn key_ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.vestibule.foundation.ring)
    }

    fn keys(&self) -> Option<Arc<PublicKeys>> {
        Some(self.keys.load_full())
    }

    /// Nothing: the keys are followed. To replace them for every token that names an unknown one would make the door forget
    /// all tokens that it has verified.
    async fn refresh_keys(&self) {}

    async fn endpoints(&self) -> Result<SignInEndpoints, Code> {
        Ok(SignInEndpoints {
            authorization: self.endpoints.authorization.clone(),
            end_session: Some(self.endpoints.end_session.clone()),
        })
    }

    async fn exchange(&self, app: AppId, code: Secret, verifier: Secret, redirect_uri: &str) -> Result<Secret, Code> {
        let view = view(&self.vestibule, self.tenant).await?;
        if !view.tenant.enabled {
            return Err(Code::TenantSuspended);
        }
        let client = Client::of_this_process(view.apps.get(&app).ok_or(Code::ClientAuthentication)?)?;
        let exchange = CodeExchange { code, redirect_uri: Some(redirect_uri.to_owned()), verifier: Some(verifier) };
        let tokens = tokens::trade_code(&self.vestibule, &view, &client, &exchange).await?;
        tokens.id_token.map(Secret::new).ok_or(Code::Internal)
    }
}
