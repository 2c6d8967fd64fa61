//! Metadata, keys and codes: what a relying party asks of a provider, through `openidconnect`.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use http::{Request, header::ACCEPT};
use jiff::{SignedDuration, Timestamp};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, IssuerUrl, PkceCodeVerifier, ProviderMetadataWithLogout, RedirectUrl,
    RequestTokenError,
    core::{CoreClient, CoreErrorResponseType},
};
use tokio::sync::Mutex;

use super::{Changed, RemoteConfig};
use crate::{
    error::Code,
    layer::SignInEndpoints,
    live::LiveState,
    oidc::{PublicKeys, jose::JwksError},
    outbound::{Client, OutboundError},
    secret::Secret,
};

/// After a success, requests from outside have keys fetched again no sooner than this (checklist J-03).
const KEYS_REST: SignedDuration = SignedDuration::from_secs(30);
/// After a failure, nothing is tried again sooner than this.
const FAILURE_REST: SignedDuration = SignedDuration::from_secs(1);
/// Metadata and keys are fetched anew this often, whatever is or is not heard.
const RENEWAL: Duration = Duration::from_secs(600);
/// And this often while that fails.
const RETRY: Duration = Duration::from_secs(1);

/// A relying party of one provider.
pub(super) struct Party {
    pub(super) config: RemoteConfig,
    pub(super) http: Client,
    pub(super) live: LiveState,
    pub(super) changed: Changed,
    metadata: ArcSwapOption<ProviderMetadataWithLogout>,
    keys: ArcSwapOption<PublicKeys>,
    /// Taken while metadata are fetched; says when that failed.
    discovering: Mutex<Option<Timestamp>>,
    fetching: Mutex<Fetched>,
    /// Whether the last fetch failed: the log says so once, not every second.
    failing: AtomicBool,
}

/// What is known of the last time that keys were fetched.
#[derive(Default)]
struct Fetched {
    at: Option<Timestamp>,
    failed: bool,
    /// As they were read.
    text: String,
}

/// Why keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Somebody sent a token with an unknown key. Anybody can.
    Asked,
    /// The provider said that they changed, or it is time.
    Due,
}

impl Party {
    pub(super) fn new(http: Client, config: RemoteConfig) -> Self {
        let max_silence = config.max_silence.max(SignedDuration::from_secs(2));
        Self {
            config,
            http,
            live: LiveState::new(max_silence),
            changed: Changed::new(),
            metadata: ArcSwapOption::empty(),
            keys: ArcSwapOption::empty(),
            discovering: Mutex::default(),
            fetching: Mutex::default(),
            failing: AtomicBool::new(false),
        }
    }

    pub(super) fn keys(&self) -> Option<Arc<PublicKeys>> {
        self.keys.load_full()
    }

    /// Where browsers are sent, asked of the provider once.
    pub(super) async fn endpoints(&self) -> Result<SignInEndpoints, Code> {
        let metadata = self.metadata().await?;
        let end_session = &metadata.additional_metadata().end_session_endpoint;
        Ok(SignInEndpoints {
            authorization: metadata.authorization_endpoint().to_string(),
            end_session: end_session.as_ref().map(|url| url.to_string()),
        })
    }

    /// Trades a code for an ID token, which is verified elsewhere.
    pub(super) async fn exchange(&self, code: Secret, verifier: Secret, redirect_uri: &str) -> Result<Secret, Code> {
        let metadata = self.metadata().await?;
        let secret = ClientSecret::new(self.config.client_secret.expose().to_owned());
        let redirect_uri = RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| Code::Internal)?;
        let client = CoreClient::from_provider_metadata(
            (*metadata).clone(),
            ClientId::new(self.config.client_id.to_string()),
            Some(secret),
        )
        .set_redirect_uri(redirect_uri);
        let request = client.exchange_code(AuthorizationCode::new(code.expose().to_owned())).map_err(|_| Code::Internal)?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
        let tokens = request.request_async(&self.http.openidconnect_http()).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(answer) => {
                tracing::warn!(error = answer.error().as_ref(), "the provider did not take a code");
                match answer.error() {
                    CoreErrorResponseType::InvalidGrant => Code::GrantInvalid,
                    CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient => {
                        Code::ClientAuthentication
                    }
                    _ => Code::Internal,
                }
            }
            RequestTokenError::Request(error) => {
                tracing::warn!(error = &error as &dyn Error, "the provider's token endpoint cannot be reached");
                Code::LiveStale
            }
            // Neither the body nor the message is logged: both may hold tokens.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                tracing::warn!("the provider's token answer cannot be read");
                Code::Internal
            }
        })?;
        let id_token = tokens.extra_fields().id_token().ok_or(Code::GrantInvalid)?;
        Ok(Secret::new(id_token.to_string()))
    }

    /// Fetches the keys, unless that was done a moment ago. Many who ask at once wait for one fetch.
    pub(super) async fn refresh_keys(&self, urgency: Urgency) {
        let mut last = self.fetching.lock().await;
        let now = self.config.clock.now();
        let rest = if last.failed { FAILURE_REST } else { KEYS_REST };
        // Also when the clock was set back: then the rest begins anew.
        let rested = last.at.is_none_or(|at| now.duration_since(at).abs() >= rest);
        if urgency == Urgency::Asked && !rested {
            return;
        }
        let fetched = self.fetch_keys(&mut last.text).await;
        last.at = Some(now);
        last.failed = fetched.is_err();
        self.note(fetched.err().as_ref());
    }

    /// Fetches the keys; `known` is their document as it was read last. The same document leaves everything as it is.
    async fn fetch_keys(&self, known: &mut String) -> Result<(), Unreachable> {
        let text = self.fetch_key_set().await?;
        if text != *known {
            let keys = PublicKeys::from_jwks(self.config.issuer.clone(), &text)?;
            self.keys.store(Some(Arc::new(keys)));
            *known = text;
        }
        Ok(())
    }

    async fn fetch_key_set(&self) -> Result<String, Unreachable> {
        let metadata = self.metadata().await.map_err(|_| Unreachable::Metadata)?;
        let uri = metadata.jwks_uri().as_str();
        let request =
            Request::get(uri).header(ACCEPT, "application/json").body(Vec::new()).map_err(|_| Unreachable::Malformed)?;
        let response = self.http.send(request).await?;
        if !response.status().is_success() {
            return Err(OutboundError::Status(response.status().as_u16()).into());
        }
        String::from_utf8(response.into_body().into()).map_err(|_| Unreachable::Malformed)
    }

    /// The provider's metadata (OpenID Connect Discovery), fetched when they are needed first. The library checks that they
    /// are the configured issuer's.
    async fn metadata(&self) -> Result<Arc<ProviderMetadataWithLogout>, Code> {
        if let Some(known) = self.metadata.load_full() {
            return Ok(known);
        }
        let mut failed = self.discovering.lock().await;
        if let Some(known) = self.metadata.load_full() {
            return Ok(known);
        }
        let now = self.config.clock.now();
        if failed.is_some_and(|at| now.duration_since(at).abs() < FAILURE_REST) {
            return Err(Code::LiveStale);
        }
        let discovered = self.discover().await;
        *failed = discovered.is_err().then_some(now);
        discovered
    }

    async fn discover(&self) -> Result<Arc<ProviderMetadataWithLogout>, Code> {
        let issuer = IssuerUrl::new(self.config.issuer.as_str().to_owned()).map_err(|_| Code::Internal)?;
        match ProviderMetadataWithLogout::discover_async(issuer, &self.http.openidconnect_http()).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                self.metadata.store(Some(Arc::clone(&metadata)));
                Ok(metadata)
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn Error, "discovery failed");
                Err(Code::LiveStale)
            }
        }
    }

    /// Fetches metadata and keys.
    async fn renew(&self) {
        match self.discover().await {
            Ok(_) => self.refresh_keys(Urgency::Due).await,
            Err(_) => self.note(Some(&Unreachable::Metadata)),
        }
    }

    /// Says in the log when the provider goes away and when it comes back.
    fn note(&self, failure: Option<&Unreachable>) {
        let failed_before = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        match (failed_before, failure) {
            (false, Some(error)) => {
                let issuer = self.config.issuer.as_str();
                tracing::warn!(issuer, error = error as &dyn Error, "the provider's keys cannot be fetched; trying again");
            }
            (true, None) => tracing::info!(issuer = self.config.issuer.as_str(), "the provider's keys were fetched"),
            _ => {}
        }
    }
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
enum Unreachable {
    #[error("the metadata cannot be fetched, or are not the issuer's")]
    Metadata,
    #[error("the key set cannot be read")]
    Malformed,
    #[error(transparent)]
    Refused(#[from] JwksError),
    #[error(transparent)]
    Outbound(#[from] OutboundError),
}

/// Keeps metadata and keys: fetched at start, when the feed says so, and now and then; every second while that fails.
pub(super) async fn keep(party: Arc<Party>) {
    loop {
        party.renew().await;
        party.live.forget_expired(party.config.clock.now());
        let pause = if party.failing.load(Ordering::Relaxed) { RETRY } else { RENEWAL };
        let _ = tokio::time::timeout(pause, party.changed.notified()).await;
    }
}
