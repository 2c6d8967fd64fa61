//! What the tests of this module share: two tenants with keys, apps, and somebody who signed in.

use std::sync::OnceLock;

use jiff::Timestamp;

use super::{
    Grantee, Issuer, KeySet, RawAuthorize, Scopes, TenantKey,
    authorize::AuthorizeRequest,
    grant::{Client, ClientCredentials, authenticate, code::SignIn},
    token::KnownEmail,
};
use crate::{
    clock::SeededEntropy,
    domain::{
        TenantId, VerifiedEmail,
        app::{App, SigningAlg},
        tenant::IdentitySource,
        user::UserType,
    },
    seal::KeyRing,
    secret::Secret,
};

pub(super) const APP: &str = "00000000-0000-4000-8000-0000000000a1";
pub(super) const CALLBACK: &str = "https://app.example/cb";
pub(super) const APP_SECRET: &str = "s3cret: with+signs%";
/// The example of RFC 7636, appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(super) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// `seconds` after [`now`].
pub(super) fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() + seconds).unwrap()
}

pub(super) fn ring() -> KeyRing {
    KeyRing::derived(b"tests", "oidc")
}

pub(super) fn entropy() -> SeededEntropy {
    SeededEntropy::new(11)
}

pub(super) fn contoso() -> TenantId {
    "00000000-0000-4000-8000-000000000001".parse().unwrap()
}

pub(super) fn fabrikam() -> TenantId {
    "00000000-0000-4000-8000-000000000002".parse().unwrap()
}

pub(super) fn issuer(tenant: TenantId) -> Issuer {
    Issuer::new(&"https://vestibule.example".parse().unwrap(), tenant)
}

pub(super) fn records(tenant: TenantId) -> Vec<TenantKey> {
    let make = |alg| TenantKey::generate(tenant, alg, &ring(), &entropy(), now(), now()).unwrap();
    vec![make(SigningAlg::RS256), make(SigningAlg::ES256)]
}

/// The keys of Contoso.
pub(super) fn keys() -> &'static KeySet {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    KEYS.get_or_init(|| KeySet::open(issuer(contoso()), records(contoso()), &ring()).unwrap())
}

/// The keys of Fabrikam.
pub(super) fn other_keys() -> &'static KeySet {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    KEYS.get_or_init(|| KeySet::open(issuer(fabrikam()), records(fabrikam()), &ring()).unwrap())
}

/// A confidential app, as a configuration file would have it.
pub(super) fn app() -> App {
    app_with(serde_json::json!({}))
}

/// The app, with some of its fields replaced.
pub(super) fn app_with(changes: serde_json::Value) -> App {
    let mut app = serde_json::json!({
        "id": APP,
        "display_name": "Expenses",
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": ["https://app.example/bye", "https://app.example/bye?x=1"],
        "client": { "type": "confidential", "secrets": [Secret::new("an older one").hash(), Secret::new(APP_SECRET).hash()] },
        "permissions": ["User.Invite.All"],
    });
    for (name, value) in changes.as_object().unwrap() {
        app[name] = value.clone();
    }
    serde_json::from_value(app).unwrap()
}

pub(super) fn public_app() -> App {
    app_with(serde_json::json!({ "client": { "type": "public" }, "redirect_uris": [CALLBACK, "http://127.0.0.1:1/cb"] }))
}

pub(super) fn exempt_app() -> App {
    app_with(serde_json::json!({ "pkce": "exempt" }))
}

/// `app` as a client that is who it says.
pub(super) fn client(app: &App) -> Client<'_> {
    let secret = matches!(app.client, crate::domain::app::ClientType::Confidential { .. }).then(|| Secret::new(APP_SECRET));
    authenticate(Some(app), &ClientCredentials { id: app.id, secret }).unwrap()
}

pub(super) fn sign_in() -> SignIn {
    SignIn {
        user: "00000000-0000-4000-8000-0000000000e1".parse().unwrap(),
        session: "00000000-0000-4000-8000-0000000000f1".parse().unwrap(),
        session_began: after(-60),
        session_expires: after(23 * 60 * 60),
        auth_time: after(-60),
        source: IdentitySource::OneTimePasscode,
        amr: vec!["otp".into()],
        idp: issuer(contoso()).to_string(),
        email: None,
        epoch: 7,
    }
}

pub(super) fn grantee(scopes: &str) -> Grantee {
    let sign_in = sign_in();
    Grantee {
        app: APP.parse().unwrap(),
        user: sign_in.user,
        user_type: UserType::Guest,
        name: "Mara Example".into(),
        email: Some(KnownEmail::Verified(VerifiedEmail::proven_by_passcode("mara@fabrikam.example".parse().unwrap()))),
        session: sign_in.session,
        session_began: sign_in.session_began,
        session_expires: sign_in.session_expires,
        auth_time: sign_in.auth_time,
        source: sign_in.source,
        amr: sign_in.amr,
        idp: sign_in.idp,
        epoch: sign_in.epoch,
        scopes: Scopes::parse(scopes).unwrap(),
        nonce: Some("n-0S6_WzA2Mj".into()),
        roles: vec!["Approver".into()],
    }
}

/// A query of these parameters.
pub(super) fn query(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// The parameters of a request that is in order.
pub(super) const GOOD: &[(&str, &str)] = &[
    ("client_id", APP),
    ("redirect_uri", CALLBACK),
    ("response_type", "code"),
    ("scope", "openid profile email"),
    ("state", "af0ifjsldkj"),
    ("nonce", "n-0S6_WzA2Mj"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
];

/// [`GOOD`] with one parameter replaced, added or (empty) left out.
pub(super) fn with(name: &str, value: &str) -> String {
    let others = GOOD.iter().copied().filter(|(known, _)| *known != name);
    query(&others.chain((!value.is_empty()).then_some((name, value))).collect::<Vec<_>>())
}

pub(super) fn authorize(query: &str, app: &App) -> Result<AuthorizeRequest, super::RedirectError> {
    RawAuthorize::parse(query.as_bytes()).bind(Some(app)).expect("binds").validate(keys().public(), now())
}
