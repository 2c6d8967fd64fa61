//! A tenant's signing keys: made, sealed, opened once, published before their first use, rotated.
//!
//! Every tenant has keys of its own (checklist T-12), sealed by the server's [`KeyRing`] for that tenant, so that a record moved
//! to another tenant does not open.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    discovery::Issuer,
    jose::{Jwk, KeyMaterial, PublicKeys, TokenKind},
};
use crate::{
    clock::Entropy,
    domain::{TenantId, app::SigningAlg},
    error::Code,
    seal::KeyRing,
};

/// How long a new key is published before it signs: longer than anybody may remember our JWKS ([`JWKS_MAX_AGE`]).
pub const PUBLISH_AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// How long an old key stays published after its last signature, beyond the longest life of a token.
pub const KEEP_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// The `max-age` of the JWKS.
pub const JWKS_MAX_AGE: SignedDuration = SignedDuration::from_hours(1);

/// A signing key as it is stored, under its `kid`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantKey {
    /// The public half; its `kid` is the thumbprint of RFC 7638.
    pub public: Jwk,
    /// The private half, PKCS #8, sealed for the tenant and the `kid`.
    pub sealed: String,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it signs.
    pub active_from: Timestamp,
    /// Until when it is published and verifies; `None` while it is in use.
    pub published_until: Option<Timestamp>,
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The crypto library did not make or read it.
    #[error("the signing key {0} cannot be made or read")]
    Unusable(String),
    /// It does not open: another ring, another tenant, or damage.
    #[error("the signing key {0} was not sealed by this key ring for this tenant")]
    Sealed(String),
    /// The stored public half is not the private half's.
    #[error("the signing key {0} does not match its public half")]
    Mismatch(String),
}

impl TenantKey {
    /// Makes a key for `tenant`. RSA takes about 100 ms of computing: never within a request.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn generate(
        tenant: TenantId,
        alg: SigningAlg,
        ring: &KeyRing,
        entropy: &dyn Entropy,
        now: Timestamp,
        active_from: Timestamp,
    ) -> Result<Self, KeyError> {
        // Key generation draws from aws-lc's own generator, which takes no other.
        let pkcs8 = match alg {
            SigningAlg::RS256 => RsaKeyPair::generate(KeySize::Rsa2048)
                .and_then(|pair| pair.as_der().map(|der| Zeroizing::new(der.as_ref().to_vec()))),
            SigningAlg::ES256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1().map(|der| Zeroizing::new(der.as_ref().to_vec()))),
        }
        .map_err(|_| KeyError::Unusable(alg.name().to_owned()))?;
        let material = Pair::read(alg, &pkcs8).ok_or_else(|| KeyError::Unusable(alg.name().to_owned()))?.public();
        let public = Jwk { kid: material.thumbprint(), alg, material };
        let sealed = BASE64_URL_SAFE_NO_PAD.encode(ring.seal_bytes(&purpose(tenant, &public.kid), &pkcs8, entropy));
        Ok(Self { public, sealed, created: now, active_from, published_until: None })
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.public.kid
    }

    /// Checks that it opens, and that its halves belong together.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn check(&self, tenant: TenantId, ring: &KeyRing) -> Result<(), KeyError> {
        self.open(tenant, ring).map(|_| ())
    }

    fn open(&self, tenant: TenantId, ring: &KeyRing) -> Result<Pair, KeyError> {
        let sealed = || KeyError::Sealed(self.public.kid.clone());
        let mut bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(&self.sealed).map_err(|_| sealed())?);
        let pkcs8 = ring.open_in_place(&purpose(tenant, &self.public.kid), &mut bytes).ok_or_else(sealed)?;
        let pair = Pair::read(self.public.alg, pkcs8).ok_or_else(|| KeyError::Unusable(self.public.kid.clone()))?;
        let matches = pair.public() == self.public.material && self.public.kid == self.public.material.thumbprint();
        if matches { Ok(pair) } else { Err(KeyError::Mismatch(self.public.kid.clone())) }
    }
}

fn purpose(tenant: TenantId, kid: &str) -> Vec<u8> {
    [b"signing key", tenant.as_bytes().as_slice(), kid.as_bytes()].concat()
}

/// A parsed private key. Parsing an RSA key costs more than signing with it, so it is done once.
enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl Pair {
    fn read(alg: SigningAlg, pkcs8: &[u8]) -> Option<Self> {
        match alg {
            SigningAlg::RS256 => RsaKeyPair::from_pkcs8(pkcs8).ok().map(Self::Rsa),
            SigningAlg::ES256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok().map(Self::Ec),
        }
    }

    fn public(&self) -> KeyMaterial {
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(pair) => {
                let numbers = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                KeyMaterial::Rsa { n: text(&numbers.n), e: text(&numbers.e) }
            }
            Self::Ec(pair) => {
                // An uncompressed point (SEC 1 section 2.3.3): 4, x, y.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                KeyMaterial::Ec { crv: "P-256".to_owned(), x: text(x), y: text(y) }
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
            Self::Ec(pair) => pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
        }
    }
}

/// A key that is ready to sign.
pub struct SigningKey {
    record: TenantKey,
    pair: Pair,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("alg", &self.alg()).field("kid", &self.kid()).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Its name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.record.public.kid
    }

    /// Its algorithm.
    #[must_use]
    pub fn alg(&self) -> SigningAlg {
        self.record.public.alg
    }

    /// Signs `claims` as a compact JWS (RFC 7515 section 7.1).
    ///
    /// # Errors
    /// [`Code::Internal`] when the claims have no JSON form or the crypto library fails.
    pub(crate) fn sign<C: Serialize>(&self, kind: TokenKind, claims: &C) -> Result<String, Code> {
        let header = format!(r#"{{"typ":"{}","alg":"{}","kid":"{}"}}"#, kind.typ(), self.alg().name(), self.kid());
        self.sign_parts(header.as_bytes(), &serde_json::to_vec(claims).map_err(|_| Code::Internal)?)
    }

    fn sign_parts(&self, header: &[u8], claims: &[u8]) -> Result<String, Code> {
        let mut token = String::with_capacity((header.len() + claims.len()) * 4 / 3 + 400);
        BASE64_URL_SAFE_NO_PAD.encode_string(header, &mut token);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.pair.sign(token.as_bytes()).map_err(|_| Code::Internal)?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// Signs any header and any claims, for tests that forge.
    #[cfg(test)]
    pub(super) fn sign_raw(&self, header: &str, claims: &str) -> String {
        self.sign_parts(header.as_bytes(), claims.as_bytes()).expect("signs")
    }
}

/// The keys of one tenant, opened once and shared.
#[derive(Debug)]
pub struct KeySet {
    /// By `active_from`, newest first.
    keys: Vec<SigningKey>,
    public: PublicKeys,
}

impl KeySet {
    /// Opens the keys that `issuer`'s tenant has.
    ///
    /// # Errors
    /// When one of them cannot be opened or read. A key that is left out in silence would be one that others still trust.
    pub fn open(issuer: Issuer, records: Vec<TenantKey>, ring: &KeyRing) -> Result<Self, KeyError> {
        let tenant = issuer.tenant();
        let mut public = PublicKeys::empty(issuer);
        let mut keys = Vec::with_capacity(records.len());
        for record in records {
            let pair = record.open(tenant, ring)?;
            public.add(&record.public, record.published_until).map_err(|_| KeyError::Unusable(record.public.kid.clone()))?;
            keys.push(SigningKey { record, pair });
        }
        keys.sort_by(|a, b| (b.record.active_from, b.kid()).cmp(&(a.record.active_from, a.kid())));
        Ok(Self { keys, public })
    }

    /// Whose keys they are.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        self.public.issuer()
    }

    /// The key that signs with `alg` now: the one that became active last.
    #[must_use]
    pub fn signer(&self, alg: SigningAlg, now: Timestamp) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.alg() == alg && key.record.active_from <= now && key.is_published(now))
    }

    /// The keys to verify with. Those that are no longer published verify nothing.
    #[must_use]
    pub fn public(&self) -> &PublicKeys {
        &self.public
    }

    /// The public half of a key that is published now.
    #[must_use]
    pub fn verifying_key(&self, kid: &str, now: Timestamp) -> Option<&Jwk> {
        self.keys.iter().find(|key| key.kid() == kid && key.is_published(now)).map(|key| &key.record.public)
    }

    /// The JWKS document (RFC 7517 section 5): every published key, also those that do not sign yet.
    #[must_use]
    pub fn jwks(&self, now: Timestamp) -> Jwks<'_> {
        let published = self.keys.iter().filter(|key| key.is_published(now));
        Jwks { keys: published.map(|key| PublishedKey { usage: "sig", jwk: &key.record.public }).collect() }
    }
}

impl SigningKey {
    fn is_published(&self, now: Timestamp) -> bool {
        self.record.published_until.is_none_or(|until| now < until)
    }
}

/// A JWKS document.
#[derive(Clone, Debug, Serialize)]
pub struct Jwks<'a> {
    keys: Vec<PublishedKey<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct PublishedKey<'a> {
    #[serde(rename = "use")]
    usage: &'static str,
    #[serde(flatten)]
    jwk: &'a Jwk,
}

/// What a rotation changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// When the new key begins to sign.
    pub active_from: Timestamp,
    /// Until when the keys that it replaces stay published, by `kid`.
    pub retired: Vec<(String, Timestamp)>,
}

/// Plans the rotation of the keys for `alg`: the new key is published for `publish_ahead` before it signs, and the old ones stay
/// for [`KEEP_AFTER`] and the longest life of a token after that (checklist S-20). The first key of an algorithm signs at once.
///
/// A key that was going to be retired earlier stays so.
#[must_use]
pub fn rotate(
    existing: &[TenantKey],
    alg: SigningAlg,
    now: Timestamp,
    publish_ahead: SignedDuration,
    longest_token_life: SignedDuration,
) -> Rotation {
    let later = |time: Timestamp, by: SignedDuration| time.checked_add(by).unwrap_or(Timestamp::MAX);
    let old = existing.iter().filter(|key| key.public.alg == alg && key.published_until.is_none_or(|until| now < until));
    let signs_already = old.clone().any(|key| key.active_from <= now);
    let active_from = if signs_already { later(now, publish_ahead) } else { now };
    let until = later(later(active_from, longest_token_life), KEEP_AFTER);
    let retired =
        old.map(|key| (key.kid().to_owned(), key.published_until.map_or(until, |earlier| earlier.min(until)))).collect();
    Rotation { active_from, retired }
}

#[cfg(test)]
mod tests;
