//! Values that must not be seen: redacted in `Debug`, compared in constant time, hashed for storage.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::clock::Entropy;

/// A text that never shows itself: no `Display`, no `PartialEq`, `Debug` prints `[REDACTED]`, memory is cleared on drop.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text that is secret from here on.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// A fresh secret of 256 bits, base64url, 43 characters.
    #[must_use]
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0u8; 32]);
        entropy.fill(&mut *bytes);
        Self(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
    }

    /// The text itself. Every call is a place to look at in review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What a store may keep of it.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.expose().as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// SHA-256 of a secret of at least 128 bits of entropy. For such values a salted, slow hash adds nothing.
///
/// Not for passwords or passcodes: those are guessable and need `argon2` or a keyed hash.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash of `secret`.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }

    /// Whether `candidate` is the secret, judged in constant time on values of fixed length.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        constant_time_eq(&self.0, &Self::of(candidate.as_bytes()).0)
    }

    /// The raw hash, as part of a store key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        BASE64_URL_SAFE_NO_PAD.encode(hash.0)
    }
}

impl TryFrom<String> for SecretHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| "a hash is base64url without padding")?;
        Ok(Self(bytes.try_into().map_err(|_| "a hash has 32 bytes")?))
    }
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededEntropy;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::new("open sesame");
        assert_eq!(format!("{secret:?} {:?}", secret.hash()), "[REDACTED] SecretHash(..)");
    }

    /// G-10: every truncation, extension and change of case is another secret.
    #[test]
    fn g_10_only_the_whole_secret_matches() {
        let secret = Secret::random(&SeededEntropy::new(1));
        let hash = secret.hash();
        let text = secret.expose();
        assert!(hash.matches(text));
        for cut in 0..text.len() {
            assert!(!hash.matches(&text[..cut]) && !hash.matches(&text[text.len() - cut..]), "{cut}");
        }
        assert!(!hash.matches(&format!("{text}=")) && !hash.matches(&text.to_ascii_uppercase()));
    }
}
