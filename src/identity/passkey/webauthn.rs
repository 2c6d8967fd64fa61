//! The ceremonies of Web Authentication, by `webauthn-rs`: the one place that knows it.
//!
//! The library draws its challenges itself and keeps more of a ceremony and of a passkey than a journey has room for. So
//! its state is made anew when an answer comes, the same but for the challenge, which is ours; and of a passkey the record
//! keeps what verifying needs.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use url::Url;
use uuid::Uuid;
use webauthn_rs::prelude::{
    AttestationFormat, AttestationMetadata, COSEAlgorithm, COSEEC2Key, COSEKey, COSEKeyType, COSERSAKey, Credential, ECDSACurve,
    ParsedAttestation, ParsedAttestationData, PublicKeyCredential, RegisterPublicKeyCredential, Webauthn, WebauthnBuilder,
    WebauthnError,
};
use webauthn_rs_proto::{
    PubKeyCredParams, PublicKeyCredentialDescriptor, RegisteredExtensions, ResidentKeyRequirement, UserVerificationPolicy,
};

use super::{MAX_ID, Octets, Owner, PasskeyRecord, PublicKey};
use crate::error::Code;

/// The algorithms that are asked for, best first (RFC 9053, RFC 8812).
const ALGORITHMS: [i64; 2] = [COSEAlgorithm::ES256 as i64, COSEAlgorithm::RS256 as i64];

/// Whom passkeys are made for: the host of the public URL.
#[derive(Clone)]
pub(super) struct RelyingParty(Webauthn);

/// A browser's answer to [`RelyingParty::assertion_options`], read and not verified.
pub(super) struct Assertion {
    answer: PublicKeyCredential,
    handle: Uuid,
}

/// Why an answer was refused.
#[derive(Debug)]
pub(super) enum Refused {
    /// By the library, which names it.
    Invalid(WebauthnError),
    /// It is not JSON of the right form.
    Malformed,
    /// A key or an id that is not taken here.
    Unsupported,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => error.fmt(f),
            Self::Malformed => f.write_str("it cannot be read"),
            Self::Unsupported => f.write_str("its key or its id is of a kind that is not taken"),
        }
    }
}

impl From<WebauthnError> for Refused {
    fn from(error: WebauthnError) -> Self {
        Self::Invalid(error)
    }
}

impl Refused {
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Invalid(WebauthnError::CredentialPossibleCompromise) => Code::PasskeyCopied,
            _ => Code::PasskeyRefused,
        }
    }
}

impl Assertion {
    /// The user handle.
    pub(super) fn handle(&self) -> &[u8] {
        self.handle.as_bytes()
    }

    /// The credential id.
    pub(super) fn id(&self) -> &[u8] {
        self.answer.get_credential_id()
    }
}

impl RelyingParty {
    /// `None` where the URL has no host name: an address cannot be a relying party.
    pub(super) fn new(public_url: &Url) -> Option<Self> {
        let host = public_url.domain()?;
        WebauthnBuilder::new(host, public_url).and_then(WebauthnBuilder::build).ok().map(Self)
    }

    pub(super) fn creation_options(
        &self,
        owner: &Owner<'_>,
        handle: &[u8; 16],
        known: &[&PasskeyRecord],
        challenge: &[u8; 32],
    ) -> Option<String> {
        let (mut options, _) = self.0.start_passkey_registration(Uuid::from_bytes(*handle), owner.name, owner.name, None).ok()?;
        let asked = &mut options.public_key;
        asked.challenge = challenge.to_vec();
        owner.organisation.clone_into(&mut asked.rp.name);
        asked.user.display_name = format!("{} · {}", owner.name, owner.organisation);
        asked.pub_key_cred_params = ALGORITHMS.map(|alg| PubKeyCredParams { type_: "public-key".to_owned(), alg }).into();
        asked.exclude_credentials = Some(
            known
                .iter()
                .map(|passkey| PublicKeyCredentialDescriptor {
                    type_: "public-key".to_owned(),
                    id: passkey.id.0.clone(),
                    transports: None,
                })
                .collect(),
        );
        // Sign-in lists no passkeys, so one that the authenticator does not find by itself would be of no use.
        let selection = asked.authenticator_selection.as_mut()?;
        selection.resident_key = Some(ResidentKeyRequirement::Required);
        selection.require_resident_key = true;
        serde_json::to_string(&options).ok()
    }

    pub(super) fn created(&self, challenge: &[u8; 32], answer: &str, now: Timestamp) -> Result<PasskeyRecord, Refused> {
        let answer: RegisterPublicKeyCredential = serde_json::from_str(answer).map_err(|_| Refused::Malformed)?;
        let (_, state) = self.0.start_passkey_registration(Uuid::nil(), "-", "-", None)?;
        let state = asked_with(&state, "/rs/challenge", challenge).ok_or(Refused::Unsupported)?;
        let credential = Credential::from(self.0.finish_passkey_registration(&answer, &state)?);
        let key = PublicKey::of(&credential.cred).ok_or(Refused::Unsupported)?;
        if credential.cred_id.is_empty() || credential.cred_id.len() > MAX_ID {
            return Err(Refused::Unsupported);
        }
        Ok(PasskeyRecord {
            id: Octets(credential.cred_id),
            key,
            counter: credential.counter,
            backup_eligible: credential.backup_eligible,
            backed_up: credential.backup_state,
            set: now,
            used: None,
        })
    }

    pub(super) fn assertion_options(&self, challenge: &[u8; 32]) -> Option<String> {
        let (mut options, _) = self.0.start_discoverable_authentication().ok()?;
        // A button is pressed for it; it does not wait in the list of a text field.
        options.mediation = None;
        options.public_key.challenge = challenge.to_vec();
        serde_json::to_string(&options).ok()
    }

    pub(super) fn assertion(&self, answer: &str) -> Option<Assertion> {
        let answer: PublicKeyCredential = serde_json::from_str(answer).ok()?;
        let (handle, _) = self.0.identify_discoverable_authentication(&answer).ok()?;
        Some(Assertion { answer, handle })
    }

    /// The passkey as it is after it has answered `challenge`.
    pub(super) fn verified(
        &self,
        challenge: &[u8; 32],
        assertion: &Assertion,
        passkey: &PasskeyRecord,
        now: Timestamp,
    ) -> Result<PasskeyRecord, Refused> {
        let (_, state) = self.0.start_discoverable_authentication()?;
        let state = asked_with(&state, "/ast/challenge", challenge).ok_or(Refused::Unsupported)?;
        let result = self.0.finish_discoverable_authentication_v2(&assertion.answer, state, credential(passkey))?;
        Ok(PasskeyRecord { counter: result.counter(), backed_up: result.backup_state(), used: Some(now), ..passkey.clone() })
    }
}

/// The state of a ceremony with another challenge than the library drew.
fn asked_with<T: Serialize + DeserializeOwned>(state: &T, place: &str, challenge: &[u8; 32]) -> Option<T> {
    let mut state = serde_json::to_value(state).ok()?;
    let drawn = state.pointer_mut(place).filter(|drawn| drawn.is_string())?;
    *drawn = Value::String(BASE64_URL_SAFE_NO_PAD.encode(challenge));
    serde_json::from_value(state).ok()
}

impl PublicKey {
    fn of(key: &COSEKey) -> Option<Self> {
        match (key.type_, &key.key) {
            (COSEAlgorithm::ES256, COSEKeyType::EC_EC2(COSEEC2Key { curve: ECDSACurve::SECP256R1, x, y })) => {
                Some(Self::Es256 { x: Octets(x.clone()), y: Octets(y.clone()) })
            }
            (COSEAlgorithm::RS256, COSEKeyType::RSA(COSERSAKey { n, e })) if (256..=512).contains(&n.len()) => {
                Some(Self::Rs256 { n: Octets(n.clone()), e: *e })
            }
            _ => None,
        }
    }

    fn cose(&self) -> COSEKey {
        match self.clone() {
            Self::Es256 { x: Octets(x), y: Octets(y) } => {
                let key = COSEKeyType::EC_EC2(COSEEC2Key { curve: ECDSACurve::SECP256R1, x, y });
                COSEKey { type_: COSEAlgorithm::ES256, key }
            }
            Self::Rs256 { n: Octets(n), e } => {
                COSEKey { type_: COSEAlgorithm::RS256, key: COSEKeyType::RSA(COSERSAKey { n, e }) }
            }
        }
    }
}

/// A passkey as the library knows it. It was verified who made it, and no attestation was asked for.
fn credential(passkey: &PasskeyRecord) -> Credential {
    Credential {
        cred_id: passkey.id.0.clone(),
        cred: passkey.key.cose(),
        counter: passkey.counter,
        transports: None,
        user_verified: true,
        backup_eligible: passkey.backup_eligible,
        backup_state: passkey.backed_up,
        registration_policy: UserVerificationPolicy::Required,
        extensions: RegisteredExtensions::none(),
        attestation: ParsedAttestation { data: ParsedAttestationData::None, metadata: AttestationMetadata::None },
        attestation_format: AttestationFormat::None,
    }
}
