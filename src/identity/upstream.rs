//! Home organisations: signing a guest in at their own OpenID provider.
//!
//! The code flow with PKCE (RFC 7636), a nonce and a random state, through `openidconnect`; this is the only place that
//! knows that crate on the server's side. The home organisation is not trusted beyond what it is there for: it names a
//! person by (issuer, subject), and vouches for addresses of the domains that the tenant trusts it for, no others.
//!
//! Discovery is lazy: a server may federate with itself.

use std::{error::Error, sync::Arc};

use jiff::Timestamp;
use openidconnect::{
    AccessToken, AuthType, AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    LoginHint, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    core::{CoreAuthPrompt, CoreClient, CoreIdToken, CoreResponseType, CoreTokenResponse},
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    clock::{Clock, Entropy},
    domain::{
        EmailAddress, FederationId, VerifiedEmail, WebUrl,
        federation::Federation,
        tenant::IdentitySource,
        user::{Identity, VerifiedIdentity},
    },
    error::Code,
    outbound::{Client, OutboundError},
    secret::{Secret, constant_time_eq},
};

mod provider;
mod token;
mod userinfo;

use provider::{Provider, Providers};
use token::{TokenFault, shown};

/// A cause, for the log.
type Cause = Arc<dyn Error + Send + Sync>;

/// Why a guest is not signed in by their home organisation. Its source is for the log; it holds no token and no secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The tenant no longer accepts this home organisation.
    #[error("the federation is switched off")]
    Disabled,
    /// It does not answer, answers that it cannot, or too late.
    #[error("the home organisation does not answer")]
    Unreachable(#[source] Cause),
    /// What it answers, or who answers in its place, cannot be trusted.
    #[error("the home organisation's answer is not acceptable: {what}")]
    Invalid {
        /// What is wrong with it.
        what: &'static str,
        /// Why, where something else found out.
        #[source]
        source: Option<Cause>,
    },
    /// It sent the guest back with an error (RFC 6749 section 4.1.2.1).
    #[error("the home organisation refused: {error}")]
    Refused {
        /// Its error code, made harmless.
        error: String,
    },
}

impl UpstreamError {
    /// What the guest is told.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Disabled => Code::HomeDisabled,
            Self::Unreachable(_) => Code::HomeUnreachable,
            Self::Invalid { .. } => Code::HomeAnswerInvalid,
            Self::Refused { .. } => Code::HomeRefused,
        }
    }

    fn invalid(what: &'static str) -> Self {
        Self::Invalid { what, source: None }
    }

    fn caused(what: &'static str, cause: impl Error + Send + Sync + 'static) -> Self {
        Self::Invalid { what, source: Some(Arc::new(cause)) }
    }
}

impl From<OutboundError> for UpstreamError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Timeout | OutboundError::Connect(_) | OutboundError::Status(429 | 500..) => {
                Self::Unreachable(Arc::new(error))
            }
            _ => Self::caused("its answer is not what it should be, or comes from where it must not", error),
        }
    }
}

/// What is asked of a home organisation beyond signing the guest in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demands<'a> {
    /// The address that the guest typed, to save typing it again.
    pub login_hint: Option<&'a EmailAddress>,
    /// Whether the guest must sign in anew, whatever sessions there are (`prompt=login`).
    pub prompt_login: bool,
    /// How long ago, in seconds, the guest may have signed in there (`max_age`).
    pub max_age: Option<u32>,
}

/// A sign-in at a home organisation that is under way: kept sealed in the guest's browser, needed when they come back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamAttempt {
    federation: FederationId,
    state: String,
    nonce: String,
    pkce_verifier: String,
    started: Timestamp,
    /// How old the sign-in may be, in seconds before `started`; 0 when a new one was demanded.
    max_age: Option<u32>,
}

impl UpstreamAttempt {
    /// The federation that the guest was sent to: the only one whose callback may end this attempt (checklist J-06).
    #[must_use]
    pub fn federation(&self) -> FederationId {
        self.federation
    }

    /// Whether a callback carries this attempt's state, so that the journey it belongs to can be found.
    #[must_use]
    pub fn is_answered_by(&self, callback: &Callback) -> bool {
        callback.state.as_deref().is_some_and(|state| constant_time_eq(state.as_bytes(), self.state.as_bytes()))
    }
}

impl std::fmt::Debug for UpstreamAttempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamAttempt")
            .field("federation", &self.federation)
            .field("started", &self.started)
            .finish_non_exhaustive()
    }
}

/// The parameters with which a browser comes back (RFC 6749 section 4.1.2, RFC 9207). Not trusted.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Callback {
    /// The authorization code.
    pub code: Option<String>,
    /// What [`UpstreamAttempt`] has, too, if this browser was sent there by us.
    pub state: Option<String>,
    /// The issuer that answers.
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback").field("iss", &self.iss).field("error", &self.error).finish_non_exhaustive()
    }
}

type HomeClient = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Signs guests in at their home organisations.
pub struct Upstreams {
    http: Client,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    providers: Providers,
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstreams").field("http", &self.http).finish_non_exhaustive()
    }
}

impl Upstreams {
    /// Reaches home organisations through `http`. Nothing is requested before the first sign-in.
    #[must_use]
    pub fn new(http: Client, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { providers: Providers::new(http.clone(), clock.clone()), http, clock, entropy }
    }

    /// Starts a sign-in: the URL to send the browser to, and what to keep until it comes back to `redirect_uri`, which
    /// should be one of this federation only.
    ///
    /// # Errors
    /// When the federation is switched off, or its home organisation cannot be reached or trusted.
    pub async fn begin(
        &self,
        federation: &Federation,
        redirect_uri: &WebUrl,
        demands: Demands<'_>,
    ) -> Result<(Url, UpstreamAttempt), UpstreamError> {
        if !federation.enabled {
            return Err(UpstreamError::Disabled);
        }
        let provider = self.providers.provider(&federation.issuer).await?;
        let random = || Secret::random(&*self.entropy).expose().to_owned();
        let attempt = UpstreamAttempt {
            federation: federation.id,
            state: random(),
            nonce: random(),
            pkce_verifier: random(),
            started: self.clock.now(),
            max_age: if demands.prompt_login { Some(0) } else { demands.max_age },
        };
        let (state, nonce) = (CsrfToken::new(attempt.state.clone()), Nonce::new(attempt.nonce.clone()));
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(attempt.pkce_verifier.clone()));
        let client = client(&provider, federation, redirect_uri);
        let mut request = client
            .authorize_url(AuthenticationFlow::<CoreResponseType>::AuthorizationCode, || state, || nonce)
            .add_scope(Scope::new("profile".into()))
            .add_scope(Scope::new("email".into()))
            .set_pkce_challenge(challenge);
        if let Some(address) = demands.login_hint {
            request = request.set_login_hint(LoginHint::new(address.as_str().into()));
        }
        if demands.prompt_login {
            request = request.add_prompt(CoreAuthPrompt::Login);
        }
        // With `prompt=login` as well: many providers state `auth_time` only when they were asked about it.
        if let Some(max_age) = attempt.max_age {
            request = request.set_max_age(std::time::Duration::from_secs(max_age.into()));
        }
        Ok((request.url().0, attempt))
    }

    /// Ends a sign-in: the browser came back with `callback`, and `attempt` is what was kept. `redirect_uri` is the one
    /// that [`begin`](Self::begin) was given.
    ///
    /// Nothing is requested from anybody before the callback is known to belong to this attempt and this federation.
    ///
    /// # Errors
    /// When the federation was switched off meanwhile, the home organisation refused or cannot be reached, or anything
    /// about its answer is not as it must be.
    pub async fn finish(
        &self,
        federation: &Federation,
        client_secret: &Secret,
        redirect_uri: &WebUrl,
        attempt: &UpstreamAttempt,
        callback: &Callback,
    ) -> Result<VerifiedIdentity, UpstreamError> {
        if !federation.enabled {
            return Err(UpstreamError::Disabled);
        }
        let ours = attempt.federation == federation.id;
        if !ours || !attempt.is_answered_by(callback) {
            return Err(UpstreamError::invalid("it does not belong to the sign-in that this browser began"));
        }
        let provider = self.providers.provider(&federation.issuer).await?;
        let code = checked_code(&provider, callback)?;
        let client =
            client(&provider, federation, redirect_uri).set_client_secret(ClientSecret::new(client_secret.expose().into()));
        let tokens = self.exchange(&client, code, attempt).await?;
        let id_token = tokens.extra_fields().id_token().ok_or(UpstreamError::invalid("it sent no ID token"))?;
        let access_token = tokens.access_token();
        let (provider, statement) = self.verify(federation, provider, id_token, access_token, attempt).await?;
        let mut profile = statement.profile;
        if profile.email.is_none() {
            profile = userinfo::complete(profile, &self.http, &provider, access_token, &statement.subject).await?;
        }
        let address = profile.email.as_deref().and_then(|text| text.parse::<EmailAddress>().ok());
        let email = address.and_then(|address| VerifiedEmail::vouched_for(address, profile.email_verified, &federation.domains));
        Ok(VerifiedIdentity {
            identity: Identity { issuer: provider.issuer.as_str().to_owned(), subject: statement.subject },
            source: IdentitySource::HomeOrganisation,
            claimed_email: if email.is_some() { None } else { profile.email.and_then(|text| shown(&text, 254)) },
            email,
            name: profile.name,
            auth_time: statement.auth_time,
            amr: statement.amr,
        })
    }

    async fn exchange(
        &self,
        client: &HomeClient,
        code: AuthorizationCode,
        attempt: &UpstreamAttempt,
    ) -> Result<CoreTokenResponse, UpstreamError> {
        let http = self.http.openidconnect_http();
        let request = client.exchange_code(code).set_pkce_verifier(PkceCodeVerifier::new(attempt.pkce_verifier.clone()));
        request.request_async(&http).await.map_err(|error| match error {
            RequestTokenError::Request(error) => error.into(),
            RequestTokenError::ServerResponse(answer) => {
                let error = shown(answer.error().as_ref(), 64).unwrap_or_default();
                UpstreamError::caused("it did not accept the code", UpstreamError::Refused { error })
            }
            // The library's error has the body, tokens and all: only the place goes on.
            RequestTokenError::Parse(error, _) => {
                tracing::debug!(at = %error.path(), "unreadable token response");
                UpstreamError::invalid("its token response cannot be read")
            }
            RequestTokenError::Other(_) => UpstreamError::invalid("its token response is empty or no JSON"),
        })
    }

    /// Verifies the ID token, with newer keys when it is signed with one that is not known yet.
    async fn verify(
        &self,
        federation: &Federation,
        provider: Arc<Provider>,
        id_token: &CoreIdToken,
        access_token: &AccessToken,
        attempt: &UpstreamAttempt,
    ) -> Result<(Arc<Provider>, token::Statement), UpstreamError> {
        let client_id = ClientId::new(federation.client_id.clone());
        let unknown = || UpstreamError::invalid("its ID token is signed with a key that is not among its own");
        let verify = |provider: &Provider| token::verify(id_token, access_token, provider, &client_id, attempt, self.clock.now());
        match verify(&provider) {
            Ok(statement) => Ok((provider, statement)),
            Err(TokenFault::Wrong(error)) => Err(error),
            Err(TokenFault::UnknownKey) => {
                let renewed = self.providers.renewed(&federation.issuer, &provider).await?.ok_or_else(unknown)?;
                match verify(&renewed) {
                    Ok(statement) => Ok((renewed, statement)),
                    Err(TokenFault::Wrong(error)) => Err(error),
                    Err(TokenFault::UnknownKey) => Err(unknown()),
                }
            }
        }
    }
}

/// The code of a callback, once it is clear that it comes from `provider` and is no error.
fn checked_code(provider: &Provider, callback: &Callback) -> Result<AuthorizationCode, UpstreamError> {
    match &callback.iss {
        Some(issuer) if issuer != provider.issuer.as_str() => {
            return Err(UpstreamError::invalid("another home organisation answered (iss)"));
        }
        None if provider.names_itself => return Err(UpstreamError::invalid("it did not say who it is (iss)")),
        _ => {}
    }
    if let Some(error) = &callback.error {
        let error = shown(error, 64).unwrap_or_default();
        let busy = matches!(error.as_str(), "temporarily_unavailable" | "server_error");
        let refused = UpstreamError::Refused { error };
        return Err(if busy { UpstreamError::Unreachable(Arc::new(refused)) } else { refused });
    }
    let code = callback.code.as_ref().filter(|code| !code.is_empty() && code.len() <= 4096);
    code.map(|code| AuthorizationCode::new(code.clone())).ok_or(UpstreamError::invalid("it sent neither a code nor an error"))
}

fn client(provider: &Provider, federation: &Federation, redirect_uri: &WebUrl) -> HomeClient {
    let client_id = ClientId::new(federation.client_id.clone());
    CoreClient::new(client_id, provider.issuer.clone(), provider.keys.clone())
        .set_auth_uri(provider.authorization_endpoint.clone())
        .set_token_uri(provider.token_endpoint.clone())
        .set_redirect_uri(RedirectUrl::from_url(redirect_uri.as_url().clone()))
        .set_auth_type(if provider.secret_in_body { AuthType::RequestBody } else { AuthType::BasicAuth })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_travel_sealed_and_show_no_secret() {
        let attempt = UpstreamAttempt {
            federation: FederationId(uuid::Uuid::nil()),
            state: "state-value".into(),
            nonce: "nonce-value".into(),
            pkce_verifier: "verifier-value".into(),
            started: Timestamp::UNIX_EPOCH,
            max_age: Some(0),
        };
        let bytes = postcard::to_stdvec(&attempt).unwrap();
        assert_eq!(postcard::from_bytes::<UpstreamAttempt>(&bytes).unwrap(), attempt);
        let callback = Callback { code: Some("code-value".into()), state: Some("state-value".into()), ..Callback::default() };
        assert!(!format!("{attempt:?} {callback:?}").contains("-value"));
    }
}
