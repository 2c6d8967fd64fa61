//! Public keys in their JSON form (RFC 7517, RFC 7638).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};

use super::MAX_KID;
use crate::domain::app::SigningAlg;

/// A public key in its JSON form (RFC 7517, RFC 7518 section 6). There is no field for a private member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// Its name: the RFC 7638 thumbprint for keys of ours.
    pub kid: String,
    /// The one algorithm that it is for.
    pub alg: SigningAlg,
    /// What it consists of.
    #[serde(flatten)]
    pub material: KeyMaterial,
}

/// The public numbers of a key, base64url, big-endian.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum KeyMaterial {
    /// RSA.
    #[serde(rename = "RSA")]
    Rsa {
        /// The modulus.
        n: String,
        /// The exponent.
        e: String,
    },
    /// An elliptic curve.
    #[serde(rename = "EC")]
    Ec {
        /// `P-256`.
        crv: String,
        /// The point's x.
        x: String,
        /// The point's y.
        y: String,
    },
}

impl KeyMaterial {
    /// The thumbprint (RFC 7638): SHA-256 over the required members in alphabetical order, base64url.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let canonical = match self {
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
            Self::Ec { crv, x, y } => format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#),
        };
        BASE64_URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes()))
    }
}

impl Jwk {
    /// The key in the library's form, if its numbers are of the size that its algorithm needs (RSA: 2,048 to 8,192 bits).
    pub(super) fn decoding_key(&self) -> Option<DecodingKey> {
        let sized = |text: &str, sizes: std::ops::RangeInclusive<usize>| {
            BASE64_URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| sizes.contains(&bytes.len()))
        };
        if self.kid.is_empty() || self.kid.len() > MAX_KID {
            return None;
        }
        match (&self.material, self.alg) {
            (KeyMaterial::Rsa { n, e }, SigningAlg::RS256) if sized(n, 256..=1024) && sized(e, 1..=4) => {
                DecodingKey::from_rsa_components(n, e).ok()
            }
            (KeyMaterial::Ec { crv, x, y }, SigningAlg::ES256) if crv == "P-256" && sized(x, 32..=32) && sized(y, 32..=32) => {
                DecodingKey::from_ec_components(x, y).ok()
            }
            _ => None,
        }
    }
}
