//! Sealing: values that leave this process (cookies, codes, continuation tokens) and come back unread and unchanged.
//!
//! AES-256-GCM with a random nonce. A sealed value names the key it was sealed with, so keys can be rotated: the newest
//! seals, older ones open. What the value is *for* is authenticated with it: a session opened as a journey does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::clock::Entropy;

const TAG_LEN: usize = 16;

/// One key of a [`KeyRing`].
struct RingKey {
    id: u8,
    key: LessSafeKey,
    /// For keyed hashes and derived keys.
    raw: Zeroizing<[u8; 32]>,
}

/// What seals and opens. Never shows its keys.
pub struct KeyRing {
    /// Newest first; never empty.
    keys: Vec<RingKey>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").field("newest", &self.keys[0].id).field("keys", &self.keys.len()).finish()
    }
}

/// Why a key ring cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// There is no key in it.
    #[error("the key ring is empty")]
    Empty,
    /// A line is not `id:key`.
    #[error("a key ring has one key a line: a number from 1 to 255, a colon, and 32 bytes in base64url")]
    Malformed,
    /// Two keys share an id.
    #[error("two keys of the ring have the same id")]
    Repeated,
}

impl KeyRing {
    /// Reads a ring: one `id:key` a line, newest first; `#` starts a comment line.
    ///
    /// # Errors
    /// When it is empty, malformed, or an id is used twice.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<RingKey> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (id, key) = line.split_once(':').ok_or(KeyRingError::Malformed)?;
            let id: u8 = id.parse().ok().filter(|id| *id > 0).ok_or(KeyRingError::Malformed)?;
            let bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(key).map_err(|_| KeyRingError::Malformed)?);
            let raw: [u8; 32] = bytes.as_slice().try_into().map_err(|_| KeyRingError::Malformed)?;
            if keys.iter().any(|known| known.id == id) {
                return Err(KeyRingError::Repeated);
            }
            keys.push(RingKey::new(id, raw));
        }
        if keys.is_empty() { Err(KeyRingError::Empty) } else { Ok(Self { keys }) }
    }

    /// The text of a new ring with one fresh key, for [`KeyRing::parse`].
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Zeroizing<String> {
        let mut raw = Zeroizing::new([0u8; 32]);
        entropy.fill(&mut *raw);
        Zeroizing::new(format!("1:{}\n", BASE64_URL_SAFE_NO_PAD.encode(*raw)))
    }

    /// A ring of one key that follows from `secret` (HKDF-SHA-256) for the given purpose: whoever holds the same secret
    /// opens what was sealed with it.
    #[must_use]
    pub fn derived(secret: &[u8], purpose: &str) -> Self {
        Self { keys: vec![RingKey::new(1, derive(secret, purpose))] }
    }

    /// A short value that tells rings apart and says nothing about their keys: nodes that share a store compare it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(&self.keyed_hash("ring fingerprint", &[])[..12])
    }

    /// HMAC-SHA-256 under the *oldest* key (which rotation keeps), separated by purpose. For lookups and passcodes.
    #[must_use]
    pub fn keyed_hash(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        use aws_lc_rs::hmac;
        let oldest = self.keys.last().map(|key| *key.raw).unwrap_or_default();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &derive(&oldest, purpose));
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&key, data).as_ref());
        hash
    }

    /// Seals bytes for a purpose (and whatever else must match on opening, such as a tenant).
    #[must_use]
    pub fn seal_bytes(&self, purpose: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let newest = &self.keys[0];
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + plain.len() + TAG_LEN);
        sealed.push(newest.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = newest
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose), &mut sealed[1 + NONCE_LEN..])
            // AES-GCM only fails on inputs of 64 GiB and more.
            .expect("sealed values are small");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens sealed bytes in place; what was sealed is the returned part of the buffer.
    #[must_use]
    pub fn open_in_place<'a>(&self, purpose: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (&mut id, rest) = sealed.split_first_mut()?;
        let (nonce, body) = rest.split_at_mut_checked(NONCE_LEN)?;
        let key = self.keys.iter().find(|key| key.id == id)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        key.key.open_in_place(nonce, Aad::from(purpose), body).ok()
    }

    /// Seals a value as base64url text.
    #[must_use]
    pub fn seal<T: Serialize>(&self, purpose: &[u8], value: &T, entropy: &dyn Entropy) -> String {
        // Our own types, which always have a form.
        let plain = Zeroizing::new(postcard::to_stdvec(value).expect("sealed types are plain data"));
        BASE64_URL_SAFE_NO_PAD.encode(self.seal_bytes(purpose, &plain, entropy))
    }

    /// Opens a value from base64url text; `None` when it is not ours, was changed, is for another purpose or has another form.
    #[must_use]
    pub fn open<T: DeserializeOwned>(&self, purpose: &[u8], text: &str) -> Option<T> {
        let mut sealed = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?);
        let plain = self.open_in_place(purpose, &mut sealed)?;
        match postcard::take_from_bytes(plain) {
            Ok((value, [])) => Some(value),
            _ => None,
        }
    }
}

impl RingKey {
    fn new(id: u8, raw: [u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, &raw).expect("an AES-256 key has 32 bytes");
        Self { id, key: LessSafeKey::new(key), raw: Zeroizing::new(raw) }
    }
}

fn derive(secret: &[u8], purpose: &str) -> [u8; 32] {
    use aws_lc_rs::hkdf;
    let mut key = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"vestibule")
        .extract(secret)
        .expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .expect("32 bytes are within HKDF's limit");
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededEntropy;

    #[test]
    fn opens_what_was_sealed_for_the_same_purpose_and_nothing_else() {
        let entropy = SeededEntropy::new(7);
        let ring = KeyRing::parse(&KeyRing::generate(&entropy)).unwrap();
        let text = ring.seal(b"journey", &("hello", 5u8), &entropy);
        assert_eq!(ring.open::<(String, u8)>(b"journey", &text), Some(("hello".into(), 5)));
        assert_eq!(ring.open::<(String, u8)>(b"session", &text), None);
        assert_eq!(ring.open::<String>(b"journey", &text), None, "left-over bytes are refused");
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(ring.open::<(String, u8)>(b"journey", std::str::from_utf8(&forged).unwrap()), None, "byte {at}");
        }
        assert_eq!(ring.open::<(String, u8)>(b"journey", &format!("{text}=")), None);
    }

    #[test]
    fn the_newest_key_seals_and_older_ones_open() {
        let entropy = SeededEntropy::new(7);
        let old = KeyRing::generate(&entropy);
        let old_ring = KeyRing::parse(&old).unwrap();
        let sealed = old_ring.seal(b"x", &1u8, &entropy);
        let new = KeyRing::generate(&entropy).replace("1:", "2:");
        let both = KeyRing::parse(&format!("# newest first\n{new}{}", *old)).unwrap();
        assert_eq!(both.open::<u8>(b"x", &sealed), Some(1));
        assert_eq!(old_ring.open::<u8>(b"x", &both.seal(b"x", &1u8, &entropy)), None);
        assert_eq!(both.keyed_hash("p", b"d"), old_ring.keyed_hash("p", b"d"), "lookups survive rotation");
        assert_eq!(KeyRing::parse("1:AAAA").unwrap_err(), KeyRingError::Malformed);
        assert_eq!(KeyRing::parse(" # nothing").unwrap_err(), KeyRingError::Empty);
        assert_eq!(KeyRing::parse(&format!("{}{}", *old, *old)).unwrap_err(), KeyRingError::Repeated);
    }
}
