//! What is known of home organisations: their discovery documents and keys, fetched when first needed and kept.

use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use openidconnect::{AuthUrl, IssuerUrl, TokenUrl, core::CoreJsonWebKeySet};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::UpstreamError;
use crate::{
    clock::Clock,
    domain::WebUrl,
    outbound::{Authorization, Client},
};

/// How long a copy is used without asking again.
const FRESH: SignedDuration = SignedDuration::from_hours(1);
/// How long the last good copy is used while a new one cannot be had (checklist J-08).
const KEEP: SignedDuration = SignedDuration::from_hours(24);
/// How long a failure is remembered, so that people who wait do not add up to a queue.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// How often unknown keys may cause a fetch, at most (checklist J-03).
const REFETCH: SignedDuration = SignedDuration::from_secs(30);
/// How long the discovery document and the keys may take together.
const FETCH_TIME: Duration = Duration::from_secs(5);
/// Key sets beyond this are refused.
const MAX_KEYS: usize = 64;
/// Longer key ids are ignored with their keys; no token can then name them.
pub(super) const MAX_KEY_ID: usize = 128;
/// RSA keys below this are ignored (RFC 7518 section 3.3).
const MIN_RSA_BYTES: usize = 2048 / 8;
/// How many home organisations are kept in memory.
const MAX_PROVIDERS: usize = 1024;

/// A home organisation, as its own documents describe it.
#[derive(Debug)]
pub(super) struct Provider {
    /// Exactly as the discovery document says it; what `iss` is compared with.
    pub(super) issuer: IssuerUrl,
    pub(super) authorization_endpoint: AuthUrl,
    pub(super) token_endpoint: TokenUrl,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) keys: CoreJsonWebKeySet,
    /// Whether the client secret goes into the body because the provider does not take it in a header.
    pub(super) secret_in_body: bool,
    /// Whether every authorization response carries `iss` (RFC 9207 section 3).
    pub(super) names_itself: bool,
}

/// The members of a discovery document that matter here (OpenID Connect Discovery 1.0 section 3, RFC 9207 section 3).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: WebUrl,
    token_endpoint: Url,
    jwks_uri: Url,
    userinfo_endpoint: Option<Url>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// The known home organisations, by issuer: what is kept is a function of the issuer's URL alone and public, so tenants
/// that trust the same one may share it; one that is slow or broken holds up nobody else.
pub(super) struct Providers {
    http: Client,
    clock: Arc<dyn Clock>,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

#[derive(Default)]
struct Slot {
    good: ArcSwapOption<Copy>,
    /// Held while fetching: one fetch an issuer at a time.
    gate: tokio::sync::Mutex<History>,
    /// When it was last asked for, in seconds since 1970.
    used: AtomicI64,
}

#[derive(Debug)]
struct Copy {
    provider: Arc<Provider>,
    fetched: Timestamp,
}

#[derive(Default)]
struct History {
    failed: Option<(Timestamp, UpstreamError)>,
    refetched: Option<Timestamp>,
}

impl Copy {
    /// A clock that was set back makes a copy old, not new.
    fn younger_than(&self, age: SignedDuration, now: Timestamp) -> bool {
        (SignedDuration::ZERO..age).contains(&now.duration_since(self.fetched))
    }
}

impl Providers {
    pub(super) fn new(http: Client, clock: Arc<dyn Clock>) -> Self {
        Self { http, clock, slots: Mutex::default() }
    }

    /// The home organisation of an issuer, from memory or from its own documents.
    pub(super) async fn provider(&self, issuer: &WebUrl) -> Result<Arc<Provider>, UpstreamError> {
        let slot = self.slot(issuer);
        let kept = |age| {
            let copy = slot.good.load();
            copy.as_ref().filter(|copy| copy.younger_than(age, self.clock.now())).map(|copy| copy.provider.clone())
        };
        if let Some(provider) = kept(FRESH) {
            return Ok(provider);
        }
        // Somebody is fetching already: a copy that is still good enough is better than waiting.
        let mut history = match (slot.gate.try_lock(), kept(KEEP)) {
            (Ok(history), _) => history,
            (Err(_), Some(provider)) => return Ok(provider),
            (Err(_), None) => slot.gate.lock().await,
        };
        if let Some(provider) = kept(FRESH) {
            return Ok(provider);
        }
        let failure = match &history.failed {
            Some((at, failure)) if self.clock.now().duration_since(*at).abs() < PAUSE => failure.clone(),
            _ => match self.fetch_into(&slot, &mut history, issuer).await {
                Ok(provider) => return Ok(provider),
                Err(failure) => failure,
            },
        };
        kept(KEEP).ok_or(failure)
    }

    /// The home organisation of an issuer after a token named a key that `seen` does not have. `None` when it has been
    /// asked for new keys only just now: the key is unknown, then.
    pub(super) async fn renewed(&self, issuer: &WebUrl, seen: &Arc<Provider>) -> Result<Option<Arc<Provider>>, UpstreamError> {
        let slot = self.slot(issuer);
        let mut history = slot.gate.lock().await;
        if let Some(copy) = slot.good.load().as_ref().filter(|copy| !Arc::ptr_eq(&copy.provider, seen)) {
            return Ok(Some(copy.provider.clone()));
        }
        let now = self.clock.now();
        if history.refetched.is_some_and(|at| now.duration_since(at).abs() < REFETCH) {
            return Ok(None);
        }
        history.refetched = Some(now);
        self.fetch_into(&slot, &mut history, issuer).await.map(Some)
    }

    fn slot(&self, issuer: &WebUrl) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_PROVIDERS && !slots.contains_key(issuer.as_str()) {
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed)).map(|(issuer, _)| issuer.clone());
            oldest.and_then(|issuer| slots.remove(&issuer));
        }
        let slot = slots.entry(issuer.as_str().to_owned()).or_default();
        slot.used.store(self.clock.now().as_second(), Ordering::Relaxed);
        slot.clone()
    }

    async fn fetch_into(&self, slot: &Slot, history: &mut History, issuer: &WebUrl) -> Result<Arc<Provider>, UpstreamError> {
        let timed_out = |_| UpstreamError::Unreachable(Arc::new(crate::outbound::OutboundError::Timeout));
        match tokio::time::timeout(FETCH_TIME, self.fetch(issuer)).await.map_err(timed_out).flatten() {
            Ok(provider) => {
                let provider = Arc::new(provider);
                slot.good.store(Some(Arc::new(Copy { provider: provider.clone(), fetched: self.clock.now() })));
                history.failed = None;
                Ok(provider)
            }
            Err(failure) => {
                tracing::warn!(issuer = issuer.as_str(), error = &failure as &dyn Error, "a home organisation cannot be read");
                history.failed = Some((self.clock.now(), failure.clone()));
                Err(failure)
            }
        }
    }

    async fn fetch(&self, issuer: &WebUrl) -> Result<Provider, UpstreamError> {
        let document = discovery_url(issuer)?;
        let metadata: Metadata = self.http.get_json(&document, Authorization::None).await?;
        if !names(issuer, &metadata.issuer) {
            return Err(UpstreamError::invalid("its discovery document names another issuer"));
        }
        // `WebUrl` allows plain http on this machine: for homes that are on this machine themselves.
        if metadata.authorization_endpoint.as_url().scheme() != issuer.as_url().scheme()
            && metadata.authorization_endpoint.as_url().scheme() != "https"
        {
            return Err(UpstreamError::invalid("its authorization endpoint is not https"));
        }
        let keys: KeySet = self.http.get_json(&metadata.jwks_uri, Authorization::None).await?;
        let methods = metadata.token_endpoint_auth_methods_supported.unwrap_or_default();
        let offers = |method: &str| methods.iter().any(|offered| offered == method);
        Ok(Provider {
            issuer: IssuerUrl::new(metadata.issuer).map_err(|error| UpstreamError::caused("its issuer is no URL", error))?,
            authorization_endpoint: AuthUrl::from_url(metadata.authorization_endpoint.as_url().clone()),
            token_endpoint: TokenUrl::from_url(metadata.token_endpoint),
            userinfo_endpoint: metadata.userinfo_endpoint,
            keys: usable_keys(keys)?,
            secret_in_body: !offers("client_secret_basic") && offers("client_secret_post"),
            names_itself: metadata.authorization_response_iss_parameter_supported,
        })
    }
}

/// Discovery 1.0 section 4: a slash at the issuer's end is removed, then the well-known path is added.
fn discovery_url(issuer: &WebUrl) -> Result<Url, UpstreamError> {
    if issuer.as_url().query().is_some() || issuer.as_url().fragment().is_some() {
        return Err(UpstreamError::invalid("the issuer that was configured has a query or a fragment"));
    }
    let base = issuer.as_str().strip_suffix('/').unwrap_or(issuer.as_str());
    Url::parse(&format!("{base}/.well-known/openid-configuration"))
        .map_err(|error| UpstreamError::caused("the issuer that was configured is no URL", error))
}

/// Discovery 1.0 section 4.3: the issuer of the document is the one that was asked for, to the letter. Only where it has
/// no path, `https://a` and `https://a/` are the same: URLs of both forms are stored as the latter.
fn names(configured: &WebUrl, documented: &str) -> bool {
    let whole = configured.as_str();
    documented == whole || (configured.as_url().path() == "/" && whole.strip_suffix('/') == Some(documented))
}

/// The keys that can verify an ID token.
fn usable_keys(found: KeySet) -> Result<CoreJsonWebKeySet, UpstreamError> {
    if found.keys.len() > MAX_KEYS {
        return Err(UpstreamError::invalid("it has more keys than anybody needs"));
    }
    let usable: Vec<_> = found.keys.into_iter().filter(usable).collect();
    let keys: CoreJsonWebKeySet = serde_json::from_value(serde_json::json!({ "keys": usable }))
        .map_err(|_| UpstreamError::invalid("its keys cannot be read"))?;
    if keys.keys().is_empty() { Err(UpstreamError::invalid("it has no key that can be used")) } else { Ok(keys) }
}

fn usable(key: &Value) -> bool {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let kind = match text("kty") {
        Some("RSA") => {
            let modulus = text("n").and_then(|n| BASE64_URL_SAFE_NO_PAD.decode(n).ok()).unwrap_or_default();
            modulus.iter().skip_while(|byte| **byte == 0).count() >= MIN_RSA_BYTES
        }
        Some("EC" | "OKP") => true,
        // A symmetric key in a public document is no key.
        _ => false,
    };
    kind && text("kid").is_none_or(|id| id.len() <= MAX_KEY_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// J-09: the issuer of the document is the configured one to the letter.
    #[test]
    fn j_09_issuers_are_compared_exactly() {
        let table = [
            ("https://home.example/t1", "https://home.example/t1", true),
            ("https://home.example/t1", "https://home.example/t1/", false),
            ("https://home.example/t1/", "https://home.example/t1", false),
            ("https://home.example/t1", "https://home.example/T1", false),
            ("https://home.example/t1", "https://home.example/t2", false),
            ("https://home.example/t1", "https://HOME.example/t1", false),
            ("https://home.example/t1", "http://home.example/t1", false),
            ("https://home.example/t1", "https://home.example:443/t1", false),
            ("https://home.example", "https://home.example", true),
            ("https://home.example", "https://home.example/", true),
            ("https://home.example/", "https://home.example", true),
            ("https://home.example", "https://home.example//", false),
            ("https://home.example", "", false),
        ];
        for (configured, documented, same) in table {
            assert_eq!(names(&configured.parse().unwrap(), documented), same, "{configured} {documented}");
        }
    }

    #[test]
    fn the_document_is_below_the_issuer() {
        for issuer in ["https://home.example/t1", "https://home.example/t1/"] {
            let url = discovery_url(&issuer.parse().unwrap()).unwrap();
            assert_eq!(url.as_str(), "https://home.example/t1/.well-known/openid-configuration");
        }
        assert!(discovery_url(&"https://home.example/?a=b".parse().unwrap()).is_err());
        assert!(discovery_url(&"https://home.example/#a".parse().unwrap()).is_err());
    }

    /// J-03, J-08: keys that are weak, symmetric or oddly named are left out; too many are refused.
    #[test]
    fn j_08_key_sets_are_bounded() {
        let rsa = |bytes: usize, kid: &str| {
            let n = BASE64_URL_SAFE_NO_PAD.encode([vec![0; 3], vec![0x81; bytes]].concat());
            serde_json::json!({ "kty": "RSA", "n": n, "e": "AQAB", "kid": kid })
        };
        let count = |keys: Vec<Value>| usable_keys(KeySet { keys }).map(|set| set.keys().len()).ok();
        assert_eq!(count(vec![rsa(256, "a")]), Some(1));
        assert_eq!(count(vec![rsa(255, "a")]), None);
        assert_eq!(count(vec![rsa(256, &"a".repeat(129))]), None);
        assert_eq!(count(vec![serde_json::json!({ "kty": "oct", "k": "AAAA" })]), None);
        assert_eq!(count(vec![serde_json::json!("x"), serde_json::json!({ "kty": 5 }), rsa(256, "a")]), Some(1));
        assert_eq!(count(vec![rsa(256, "a"); 64]), Some(64));
        assert_eq!(count(vec![rsa(256, "a"); 65]), None);
    }
}
