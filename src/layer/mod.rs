//! The door for Rust apps: [`GuestLayer`] around any [`tower::Service`] over `http` types (axum, hyper, tonic).
//!
//! Whoever reaches the app behind it has signed in at the tenant, agreed to what is owed, and is neither blocked nor signed
//! out, as of the last second. The app finds a [`Guest`] in the request's extensions (in axum: as an extractor).
//!
//! | who asks | without a good session or token |
//! |---|---|
//! | a person who opens a page | is led to sign-in and comes back to the very URL |
//! | a person who sends a form | gets a page that says so: a form cannot be sent again for them |
//! | a program | gets 401 with `WWW-Authenticate` and a problem document; 403 `interaction_required` when terms are owed |
//!
//! # What it owns
//!
//! * The paths below `/.vestibule/`: `callback` (register `{app}/.vestibule/callback` as redirect URI), `sign-in`, `sign-out`,
//!   and `signed-out` (register it as post-logout redirect URI).
//! * The cookies `__Host-vb-*`, which the app never sees. The app's session is sealed in one of them with a key that follows
//!   from the client secret: several instances of an app need nothing in common but that.
//! * Of the header `Authorization`, the scheme `Bearer`: an access token of the tenant for this app lets a program in. It is
//!   verified once and remembered; whether its session still stands is looked up on every request.
//!
//! # Where it goes
//!
//! Outermost, around the whole app: it has to see the app's own paths. What it decides needs no store and no lock that a
//! writer holds. It answers for the app on one origin, `app_url`; a proxy in front must not change paths.
//!
//! # When it is cut off
//!
//! A door that has not heard from the tenant's provider for five seconds ([`LiveState::MAX_SILENCE`](crate::live::LiveState))
//! refuses with [`Code::LiveStale`](crate::error::Code) until it hears from it again.

use std::sync::Arc;

use jiff::SignedDuration;
use tower::Layer;

mod answer;
mod attempt;
mod bearer;
#[cfg(feature = "axum")]
mod extract;
mod guard;
mod guest;
pub(crate) mod provider;
mod remembered;
#[cfg(feature = "remote")]
mod remote;
mod return_to;
mod routes;
mod service;
mod session;
#[cfg(test)]
mod tests;

pub use answer::Refusal;
#[cfg(feature = "axum")]
pub use extract::GuestMissing;
pub use guest::Guest;
pub use provider::{Provider, SignInEndpoints};
#[cfg(feature = "remote")]
pub use remote::RemoteConfig;
pub use routes::{CALLBACK, SIGNED_OUT};
pub use service::{GuestService, ResponseFuture};

use self::{attempt::Attempts, bearer::Bearer, guard::Guard, session::SessionCookie};
use crate::{
    cookies::Unwritable,
    decision::Policy,
    domain::{AppId, WebUrl},
};

/// Lets guests in, and sends everybody else to sign in. Cheap to clone; clones share what they know.
#[derive(Clone)]
pub struct GuestLayer {
    guard: Arc<Guard>,
}

/// Why a layer cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The app's address has a path, a query or a fragment.
    #[error("the app's address is an origin, such as https://app.example")]
    AppUrl,
    /// A cookie could not be named after the app.
    #[error("the app's cookies cannot be named")]
    Cookie(#[from] Unwritable),
    /// The client that talks to the provider cannot be made.
    #[cfg(feature = "remote")]
    #[error("the client for the provider cannot be set up")]
    Client(#[from] crate::outbound::OutboundError),
    /// The issuer names no server that can be reached.
    #[cfg(feature = "remote")]
    #[error("the issuer names no server that can be reached")]
    Issuer,
    /// There is no Tokio runtime to keep in touch with the provider on.
    #[cfg(feature = "remote")]
    #[error("the layer has to be made within a Tokio runtime")]
    NoRuntime,
}

impl GuestLayer {
    /// A door of `app` to the tenant whose provider is in this process.
    ///
    /// # Errors
    /// [`SetupError::AppUrl`] when `app_url` is more than an origin.
    pub fn embedded(provider: Arc<dyn Provider>, app: AppId, app_url: &WebUrl) -> Result<Self, SetupError> {
        let url = app_url.as_url();
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(SetupError::AppUrl);
        }
        let ring = provider.key_ring();
        let guard = Guard {
            policy: Policy { tenant: provider.issuer().tenant(), app, max_age: None },
            origin: app_url.origin(),
            session: SessionCookie::new(app, Arc::clone(&ring))?,
            attempts: Attempts::new(app, ring)?,
            bearer: Bearer::new(app),
            provider,
        };
        Ok(Self { guard: Arc::new(guard) })
    }

    /// The same door, for people who proved who they are at most `max_age` ago.
    #[must_use]
    pub fn max_age(mut self, max_age: SignedDuration) -> Self {
        Arc::make_mut(&mut self.guard).policy.max_age = Some(max_age);
        self
    }
}

impl std::fmt::Debug for GuestLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestLayer").field("policy", &self.guard.policy).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for GuestLayer {
    type Service = GuestService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GuestService::new(inner, Arc::clone(&self.guard))
    }
}
