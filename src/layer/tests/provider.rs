//! A provider of one tenant in memory: real keys, real tokens, real live state, and codes without pages.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use url::Url;
use uuid::Uuid;

use crate::{
    clock::{Clock, Entropy, ManualClock, SeededEntropy},
    domain::{
        AppId, SessionId, TenantId, UserId, VerifiedEmail,
        app::{App, SigningAlg},
        tenant::IdentitySource,
        user::UserType,
    },
    error::Code,
    layer::{Provider, SignInEndpoints, provider::sealed},
    live::{Live, LiveEvent, LiveState},
    oidc::{
        Endpoints, Grantee, Issuer, KeySet, PublicKeys, Scopes, TenantKey,
        token::{KnownEmail, TokenResponse, mint},
    },
    seal::KeyRing,
    secret::Secret,
};

pub(super) const TENANT: TenantId = TenantId(Uuid::from_u128(1));
pub(super) const APP: AppId = AppId(Uuid::from_u128(2));
pub(super) const USER: UserId = UserId(Uuid::from_u128(3));
pub(super) const SESSION: SessionId = SessionId(Uuid::from_u128(4));

pub(super) type Forge = Box<dyn Fn(&TestProvider, String) -> String + Send>;

/// What an authorization request asked for, by the code that answers it.
struct Asked {
    nonce: String,
    challenge: String,
}

pub(super) struct TestProvider {
    pub(super) issuer: Issuer,
    pub(super) clock: ManualClock,
    pub(super) live: LiveState,
    pub(super) ring: Arc<KeyRing>,
    pub(super) keys: KeySet,
    /// What the layer has fetched.
    pub(super) fetched: ArcSwapOption<PublicKeys>,
    pub(super) fetches: AtomicU32,
    entropy: SeededEntropy,
    codes: Mutex<HashMap<String, Asked>>,
    /// What it gives for a code instead of Ann's ID token, from the nonce.
    pub(super) forge: Mutex<Option<Forge>>,
    /// Whether it answers at all.
    pub(super) reachable: std::sync::atomic::AtomicBool,
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

impl TestProvider {
    pub(super) fn new() -> Self {
        Self::at("https://vestibule.example")
    }

    pub(super) fn at(base: &str) -> Self {
        let issuer = Issuer::new(&base.parse().unwrap(), TENANT);
        let (entropy, clock) = (SeededEntropy::new(1), ManualClock::new(at(1_000_000)));
        let ring = Arc::new(KeyRing::derived(b"client secret", "app-session"));
        let key = TenantKey::generate(TENANT, SigningAlg::ES256, &ring, &entropy, clock.now(), at(0)).unwrap();
        let keys = KeySet::open(issuer.clone(), vec![key], &ring).unwrap();
        let live = LiveState::new(LiveState::MAX_SILENCE);
        live.heard(clock.now());
        Self {
            issuer,
            clock,
            live,
            ring,
            keys,
            fetched: ArcSwapOption::empty(),
            fetches: AtomicU32::new(0),
            entropy,
            codes: Mutex::default(),
            forge: Mutex::default(),
            reachable: true.into(),
        }
    }

    /// The keys as a relying party reads them.
    pub(super) fn publish_keys(&self) -> Arc<PublicKeys> {
        let jwks = serde_json::to_string(&self.keys.jwks(self.clock.now())).unwrap();
        Arc::new(PublicKeys::from_jwks(self.issuer.clone(), &jwks).unwrap())
    }

    pub(super) fn app() -> App {
        serde_json::from_value(serde_json::json!({
            "id": APP, "display_name": "Expenses", "client": { "type": "public" }, "id_token_alg": "ES256",
        }))
        .unwrap()
    }

    /// Ann, who signed in just now, settled up to `epoch`.
    pub(super) fn ann(&self, epoch: u64, nonce: Option<String>) -> Grantee {
        let now = self.clock.now();
        Grantee {
            app: APP,
            user: USER,
            user_type: UserType::Guest,
            name: "Ann Lee".into(),
            email: Some(KnownEmail::Verified(VerifiedEmail::proven_by_passcode("ann@fabrikam.example".parse().unwrap()))),
            session: SESSION,
            session_began: now,
            session_expires: now + jiff::SignedDuration::from_hours(8),
            auth_time: now,
            source: IdentitySource::OneTimePasscode,
            amr: vec!["otp".into()],
            idp: self.issuer.as_str().into(),
            epoch,
            scopes: Scopes::parse("openid profile email").unwrap(),
            nonce,
            roles: Vec::new(),
        }
    }

    pub(super) fn tokens(&self, grantee: Grantee) -> TokenResponse {
        mint(grantee, &Self::app(), &self.keys, &self.ring, self.clock.now(), &self.entropy).unwrap()
    }

    /// What the provider's pages do in the end: answers an authorization request with a code. Gives the callback's query.
    pub(super) fn authorize(&self, location: &str) -> String {
        let url = Url::parse(location).unwrap();
        let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(url.as_str().split('?').next().unwrap(), Endpoints::new(self.issuer.clone()).authorization);
        assert_eq!((query["response_type"].as_str(), query["code_challenge_method"].as_str()), ("code", "S256"));
        assert_eq!(query["client_id"], APP.to_string());
        assert_eq!(query["redirect_uri"], "https://app.example/.vestibule/callback");
        let code = Secret::random(&self.entropy).expose().to_owned();
        let asked = Asked { nonce: query["nonce"].clone(), challenge: query["code_challenge"].clone() };
        self.codes.lock().unwrap().insert(code.clone(), asked);
        let pairs = [("code", code.as_str()), ("state", &query["state"]), ("iss", self.issuer.as_str())];
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    pub(super) fn happens(&self, event: LiveEvent) {
        self.live.apply(TENANT, &event);
    }
}

impl sealed::Sealed for TestProvider {}

#[async_trait]
impl Provider for TestProvider {
    fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    fn live(&self) -> &dyn Live {
        &self.live
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn entropy(&self) -> &dyn Entropy {
        &self.entropy
    }

    fn key_ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring)
    }

    fn keys(&self) -> Option<Arc<PublicKeys>> {
        self.fetched.load_full()
    }

    async fn refresh_keys(&self) {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if self.reachable.load(Ordering::SeqCst) {
            self.fetched.store(Some(self.publish_keys()));
        }
    }

    async fn endpoints(&self) -> Result<SignInEndpoints, Code> {
        if !self.reachable.load(Ordering::SeqCst) {
            return Err(Code::LiveStale);
        }
        let endpoints = Endpoints::new(self.issuer.clone());
        Ok(SignInEndpoints { authorization: endpoints.authorization, end_session: Some(endpoints.end_session) })
    }

    async fn exchange(&self, app: AppId, code: Secret, verifier: Secret, redirect_uri: &str) -> Result<Secret, Code> {
        assert_eq!((app, redirect_uri), (APP, "https://app.example/.vestibule/callback"));
        let asked = self.codes.lock().unwrap().remove(code.expose()).ok_or(Code::GrantInvalid)?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.expose().as_bytes());
        if BASE64_URL_SAFE_NO_PAD.encode(digest) != asked.challenge {
            return Err(Code::GrantInvalid);
        }
        if let Some(forge) = &*self.forge.lock().unwrap() {
            return Ok(Secret::new(forge(self, asked.nonce)));
        }
        let epoch = self.live.terms_epoch(TENANT, APP);
        Ok(Secret::new(self.tokens(self.ann(epoch, Some(asked.nonce))).id_token.unwrap()))
    }
}
