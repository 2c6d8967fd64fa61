//! Signing and verifying tokens: our prepared keys beside jsonwebtoken's plain `encode` and `decode` of the same claims.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use vestibule::{
    clock::{Clock, SystemClock, SystemEntropy},
    domain::{
        TenantId,
        app::{App, SigningAlg},
    },
    oidc::{
        Issuer, KeySet, PublicKeys, TenantKey,
        grant::{Client, ClientCredentials, authenticate},
        token::{AppClaims, mint_app, verify_app},
    },
    seal::KeyRing,
    secret::Secret,
};

/// A tenant with keys, and an app that gets tokens for itself.
struct Setup {
    app: App,
    keys: KeySet,
    remote: PublicKeys,
    now: Timestamp,
}

impl Setup {
    fn new(alg: SigningAlg) -> Self {
        let (ring, now) = (KeyRing::derived(b"bench", "jose"), SystemClock.now());
        let tenant: TenantId = "00000000-0000-4000-8000-000000000001".parse().expect("an id");
        let issuer = Issuer::new(&"https://vestibule.example".parse().expect("a URL"), tenant);
        let key = TenantKey::generate(tenant, alg, &ring, &SystemEntropy, now, now).expect("a key");
        let keys = KeySet::open(issuer.clone(), vec![key], &ring).expect("opens");
        let jwks = serde_json::to_string(&keys.jwks(now)).expect("JSON");
        let remote = PublicKeys::from_jwks(issuer, &jwks).expect("a JWKS");
        let app = serde_json::from_value(serde_json::json!({
            "id": "00000000-0000-4000-8000-0000000000a1",
            "display_name": "Bench",
            "client": { "type": "confidential", "secrets": [Secret::new("secret").hash()] },
            "permissions": ["User.Invite.All", "User.Read.All"],
            "access_token_alg": alg,
        }));
        Self { app: app.expect("an app"), keys, remote, now }
    }

    fn client(&self) -> Client<'_> {
        let credentials = ClientCredentials { id: self.app.id, secret: Some(Secret::new("secret")) };
        authenticate(Some(&self.app), &credentials).expect("the secret is right")
    }
}

fn jose(c: &mut Criterion) {
    // The same claims, signed with a key of the plain library's own.
    let rsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("RSA").serialize_pem();
    let ec = rcgen::KeyPair::generate().expect("P-256").serialize_pem();
    for (alg, algorithm, plain_key) in [
        (SigningAlg::RS256, Algorithm::RS256, EncodingKey::from_rsa_pem(rsa.as_bytes())),
        (SigningAlg::ES256, Algorithm::ES256, EncodingKey::from_ec_pem(ec.as_bytes())),
    ] {
        let setup = Setup::new(alg);
        let client = setup.client();
        let plain_key = plain_key.expect("a key");
        let mut group = c.benchmark_group(format!("{alg:?}"));
        let mint = || mint_app(&client, &setup.keys, setup.now, &SystemEntropy).expect("mints").access_token;
        group.bench_function("sign/vestibule", |b| b.iter(mint));
        let token = mint();
        let verify = |token: &str| verify_app(&setup.remote, token, setup.now, SignedDuration::ZERO).expect("verifies");
        let claims = verify(&token).into_claims();
        let header = Header { typ: Some("at+jwt".into()), ..Header::new(algorithm) };
        group.bench_function("sign/jsonwebtoken", |b| {
            b.iter(|| jsonwebtoken::encode(&header, black_box(&claims), &plain_key).expect("signs"));
        });
        group.bench_function("verify/vestibule", |b| b.iter(|| verify(black_box(&token))));
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::to_value(setup.keys.jwks(setup.now))
            .and_then(|mut jwks| serde_json::from_value(jwks["keys"][0].take()))
            .expect("a JWK");
        let key = DecodingKey::from_jwk(&jwk).expect("a key");
        let mut rules = Validation::new(algorithm);
        rules.set_audience(&["https://vestibule.example"]);
        group.bench_function("verify/jsonwebtoken", |b| {
            b.iter(|| jsonwebtoken::decode::<AppClaims>(black_box(&token), &key, &rules).expect("verifies"));
        });
        group.finish();
    }
}

criterion_group!(benches, jose);
criterion_main!(benches);
