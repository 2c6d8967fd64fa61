//! Verifying our tokens (RFC 7515, RFC 8725, RFC 9068), here and at a remote party.
//!
//! A [`Verified`] value has been through all of it: size before split, key and algorithm from *our* key list, signature, exact
//! `typ`, issuer, tenant, audience, times by the caller's clock. There is no other way to one, and no way to claims without one:
//!
//! ```compile_fail,E0423
//! // J-02: claims that nobody verified cannot be passed off as verified.
//! let claims = vestibule::oidc::Verified(());
//! ```
//!
//! ```compile_fail
//! // Nor read from bytes.
//! let claims: vestibule::oidc::Verified<serde_json::Value> = serde_json::from_str("{}").unwrap();
//! ```

mod jwk;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, crypto::aws_lc};
pub use jwk::{Jwk, KeyMaterial};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::{discovery::Issuer, json};
use crate::domain::{TenantId, app::SigningAlg};

/// The largest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;
/// The largest JWKS document that is read, in bytes.
pub const MAX_JWKS: usize = 256 * 1024;
/// The most keys that a JWKS may have.
pub const MAX_KEYS: usize = 64;
/// The longest `kid`, in bytes. It is an opaque name and nothing else.
pub const MAX_KID: usize = 128;
/// The most leeway that a verifier may grant to clocks that differ.
pub const MAX_LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// Claims whose token was verified. Only [`PublicKeys`] makes one.
#[derive(Clone, Debug)]
pub struct Verified<C>(C);

impl<C> Verified<C> {
    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &C {
        &self.0
    }

    /// The claims, without the mark.
    #[must_use]
    pub fn into_claims(self) -> C {
        self.0
    }
}

/// The kinds of tokens, told apart by their `typ` (RFC 8725 section 3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenKind {
    /// An ID token.
    Id,
    /// An access token (RFC 9068).
    Access,
}

impl TokenKind {
    /// The `typ` that we write.
    #[must_use]
    pub fn typ(self) -> &'static str {
        match self {
            Self::Id => "JWT",
            Self::Access => "at+jwt",
        }
    }

    /// Whether a header's `typ` says this kind: exactly, where RFC 9068 section 4 allows the long form too.
    fn is(self, typ: Option<&str>) -> bool {
        typ == Some(self.typ()) || (self == Self::Access && typ == Some("application/at+jwt"))
    }
}

/// Why a token was refused. For logs and metrics; whoever sent the token learns `invalid_token` and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Larger than [`MAX_TOKEN`].
    #[error("the token is too large")]
    TooLarge,
    /// Not three parts of strict base64url, or JSON that is ambiguous, or claims that are missing or have a wrong type.
    #[error("the token is malformed")]
    Malformed,
    /// The header demands an extension (`crit`) that is not understood.
    #[error("the token demands an extension")]
    Critical,
    /// No key of the issuer has this `kid` (now). A remote party may fetch the JWKS again, at a bounded rate.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The header names another algorithm than the one its key is for.
    #[error("the token's algorithm is not its key's")]
    Algorithm,
    /// The signature is not the key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// Another kind of token.
    #[error("the token is of another kind")]
    Kind,
    /// Another issuer or tenant.
    #[error("the token is of another issuer")]
    Issuer,
    /// For somebody else.
    #[error("the token is for somebody else")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come, or it says that it was made in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
}

/// What a token has to be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Its kind.
    pub kind: TokenKind,
    /// For whom it has to be; `None` only where the caller compares the audience itself.
    pub audience: Option<&'a str>,
    /// The verifier's time.
    pub now: Timestamp,
    /// How far the clocks of issuer and verifier may differ; more than [`MAX_LEEWAY`] counts as that.
    pub leeway: SignedDuration,
    /// Whether it may have expired: an `id_token_hint` may (OpenID Connect RP-Initiated Logout section 2).
    pub may_be_expired: bool,
}

/// A key that verifies.
#[derive(Clone, Debug)]
struct PublicKey {
    kid: String,
    alg: SigningAlg,
    key: DecodingKey,
    /// From when on it verifies nothing.
    until: Option<Timestamp>,
}

/// The public keys of one issuer. A key of one issuer never verifies a token that names another (checklist S-53).
#[derive(Clone, Debug)]
pub struct PublicKeys {
    issuer: Issuer,
    keys: Vec<PublicKey>,
}

/// Why a JWKS was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Too many bytes or keys.
    #[error("the key set is too large")]
    TooLarge,
    /// Not a JWKS, or a key that cannot be what it says.
    #[error("the key set is malformed")]
    Malformed,
    /// Two keys share a `kid`.
    #[error("two keys have the same kid")]
    RepeatedKid,
    /// It shows a private key.
    #[error("the key set shows a private key")]
    PrivateKey,
}

impl PublicKeys {
    /// No keys yet.
    pub(super) fn empty(issuer: Issuer) -> Self {
        Self { issuer, keys: Vec::new() }
    }

    /// Adds a key from its JWK.
    pub(super) fn add(&mut self, jwk: &Jwk, until: Option<Timestamp>) -> Result<(), JwksError> {
        if self.keys.iter().any(|known| known.kid == jwk.kid) {
            return Err(JwksError::RepeatedKid);
        }
        let key = jwk.decoding_key().ok_or(JwksError::Malformed)?;
        self.keys.push(PublicKey { kid: jwk.kid.clone(), alg: jwk.alg, key, until });
        Ok(())
    }

    /// Reads the JWKS (RFC 7517) that `issuer` publishes. Keys of other kinds and uses are left out.
    ///
    /// # Errors
    /// When it is no JWKS, too large, repeats a `kid` or shows a private key; nothing of it is used then.
    pub fn from_jwks(issuer: Issuer, jwks: &str) -> Result<Self, JwksError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }
        if jwks.len() > MAX_JWKS {
            return Err(JwksError::TooLarge);
        }
        let document: Document = json::from_slice(jwks.as_bytes()).ok_or(JwksError::Malformed)?;
        if document.keys.len() > MAX_KEYS {
            return Err(JwksError::TooLarge);
        }
        let mut keys = Self::empty(issuer);
        for value in document.keys {
            if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|private| value.get(private).is_some()) {
                return Err(JwksError::PrivateKey);
            }
            let member = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
            let for_signatures = member("use").is_none_or(|usage| usage == "sig");
            if for_signatures && matches!(member("alg"), Some("RS256" | "ES256")) {
                let jwk = serde_json::from_value(value).map_err(|_| JwksError::Malformed)?;
                keys.add(&jwk, None)?;
            }
        }
        Ok(keys)
    }

    /// Whose keys they are.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Verifies a token and reads its claims.
    ///
    /// # Errors
    /// The first rule that the token breaks.
    pub fn verify<C: DeserializeOwned>(&self, token: &str, expected: &Expected<'_>) -> Result<Verified<C>, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLarge);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(TokenError::Malformed);
        };
        let key = self.key_of(&decode::<Header>(header)?, expected)?;
        let signed = &token.as_bytes()[..header.len() + 1 + claims.len()];
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        if !key.signed(signed, signature) {
            return Err(TokenError::Signature);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(claims).map_err(|_| TokenError::Malformed)?;
        self.check(&json::from_slice(&bytes).ok_or(TokenError::Malformed)?, expected)?;
        serde_json::from_slice(&bytes).map(Verified).map_err(|_| TokenError::Malformed)
    }

    /// The key that the header names, if the header is in order. What it says of keys elsewhere (`jku`, `jwk`, `x5c`, `x5u`) is
    /// not looked at.
    fn key_of(&self, header: &Header, expected: &Expected<'_>) -> Result<&PublicKey, TokenError> {
        if header.crit {
            return Err(TokenError::Critical);
        }
        if header.kid.len() > MAX_KID {
            return Err(TokenError::Malformed);
        }
        let key = self.keys.iter().find(|key| key.kid == header.kid && key.until.is_none_or(|until| expected.now < until));
        let key = key.ok_or(TokenError::UnknownKey)?;
        if header.alg != key.alg.name() {
            return Err(TokenError::Algorithm);
        }
        if !expected.kind.is(header.typ.as_deref()) {
            return Err(TokenError::Kind);
        }
        Ok(key)
    }

    fn check(&self, claims: &Registered, expected: &Expected<'_>) -> Result<(), TokenError> {
        if claims.iss != self.issuer.as_str() || claims.tid != self.issuer.tenant() {
            return Err(TokenError::Issuer);
        }
        if expected.audience.is_some_and(|audience| claims.aud != audience) {
            return Err(TokenError::Audience);
        }
        let leeway = expected.leeway.clamp(SignedDuration::ZERO, MAX_LEEWAY).as_secs();
        let now = expected.now.as_second();
        if !expected.may_be_expired && now >= claims.exp.0 + leeway {
            return Err(TokenError::Expired);
        }
        if now + leeway < claims.nbf.0.max(claims.iat.0) { Err(TokenError::NotYetValid) } else { Ok(()) }
    }
}

impl PublicKey {
    /// Whether `signature` is this key's over `message`. The back end is named, not looked up: the library's process-wide
    /// choice belongs to the host application and panics when nobody made it.
    fn signed(&self, message: &[u8], signature: Vec<u8>) -> bool {
        let algorithm = match self.alg {
            SigningAlg::RS256 => Algorithm::RS256,
            SigningAlg::ES256 => Algorithm::ES256,
        };
        (aws_lc::DEFAULT_PROVIDER.verifier_factory)(&algorithm, &self.key)
            .is_ok_and(|verifier| verifier.verify(message, &signature).is_ok())
    }
}

impl SigningAlg {
    /// The `alg` of headers and JWKs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
        }
    }
}

/// What is read of a header.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// True for a member that is there, whatever it is.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// The claims that every token of ours has, with the types that they must have.
#[derive(Deserialize)]
struct Registered {
    iss: String,
    tid: TenantId,
    /// One audience. Ours never have several, so a list is not ours.
    aud: String,
    exp: NumericDate,
    iat: NumericDate,
    nbf: NumericDate,
}

/// Whole seconds since 1970, within the years that exist. Anything else, `null` too, is a failure (checklist J-04).
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct NumericDate(i64);

impl TryFrom<i64> for NumericDate {
    type Error = &'static str;

    fn try_from(seconds: i64) -> Result<Self, Self::Error> {
        if (0..=Timestamp::MAX.as_second()).contains(&seconds) { Ok(Self(seconds)) } else { Err("not a time") }
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    json::from_slice(&bytes).ok_or(TokenError::Malformed)
}

#[cfg(test)]
mod tests;
