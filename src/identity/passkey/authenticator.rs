//! An authenticator in software, for tests: it does what it is told, right or wrong.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// User present, user verified, attested credential data included (Web Authentication section 6.1).
pub(crate) const PRESENT: u8 = 0x01;
pub(crate) const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// One passkey, and the browser that it is in.
pub(crate) struct Authenticator {
    key: EcdsaKeyPair,
    pub(crate) id: Vec<u8>,
    pub(crate) handle: Vec<u8>,
    pub(crate) counter: u32,
    pub(crate) flags: u8,
    pub(crate) origin: String,
    pub(crate) host: String,
    pub(crate) algorithm: u8,
}

fn text(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(value.as_str().expect("text")).expect("base64url")
}

impl Authenticator {
    pub(crate) fn new(origin: &str, id: &[u8]) -> Self {
        let host = url::Url::parse(origin).expect("an origin").host_str().expect("a host").to_owned();
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let (id, handle) = (id.to_vec(), Vec::new());
        // COSE's -7, ES256
        Self { key, id, handle, counter: 0, flags: PRESENT | VERIFIED, origin: origin.to_owned(), host, algorithm: 0x26 }
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false }).to_string().into_bytes()
    }

    fn data(&self, attested: Option<&[u8]>) -> Vec<u8> {
        let flags = self.flags | if attested.is_some() { ATTESTED } else { 0 };
        let host = digest(&SHA256, self.host.as_bytes());
        [host.as_ref(), &[flags], &self.counter.to_be_bytes(), attested.unwrap_or_default()].concat()
    }

    /// `navigator.credentials.create`: the options as they were sent, the answer as it is posted.
    pub(crate) fn create(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).expect("options");
        let options = &options["publicKey"];
        self.handle = bytes(&options["user"]["id"]);
        let point = self.key.public_key().as_ref();
        let cose = [
            &[0xa5, 0x01, 0x02, 0x03, self.algorithm, 0x20, 0x01, 0x21, 0x58, 0x20],
            &point[1..33],
            &[0x22, 0x58, 0x20],
            &point[33..65],
        ]
        .concat();
        let length = u16::try_from(self.id.len()).expect("an id").to_be_bytes();
        let data = self.data(Some(&[&[0; 16], &length[..], &self.id, &cose].concat()));
        let size = u16::try_from(data.len()).expect("short").to_be_bytes();
        let head: &[u8] = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59";
        let client = self.client_data("webauthn.create", &options["challenge"]);
        json!({
            "id": text(&self.id), "rawId": text(&self.id), "type": "public-key",
            "response": { "attestationObject": text(&[head, &size, &data].concat()), "clientDataJSON": text(&client) },
        })
        .to_string()
    }

    /// `navigator.credentials.get`.
    pub(crate) fn get(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).expect("options");
        let data = self.data(None);
        let client = self.client_data("webauthn.get", &options["publicKey"]["challenge"]);
        let signed = [data.as_slice(), digest(&SHA256, &client).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).expect("a signature");
        json!({
            "id": text(&self.id), "rawId": text(&self.id), "type": "public-key",
            "response": {
                "authenticatorData": text(&data), "clientDataJSON": text(&client), "signature": text(signature.as_ref()),
                "userHandle": text(&self.handle),
            },
        })
        .to_string()
    }
}
