//! Whether an ID token is what its home organisation says about the person who just came back from there.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jiff::Timestamp;
use openidconnect::{
    AccessToken, AccessTokenHash, ClaimsVerificationError, ClientId, IdTokenVerifier, Nonce, SignatureVerificationError,
    core::{CoreIdToken, CoreIdTokenClaims, CoreJwsSigningAlgorithm},
};
use serde::Deserialize;

use super::{
    UpstreamAttempt, UpstreamError,
    provider::{MAX_KEY_ID, Provider},
};
use crate::{domain::is_plain_char, secret::constant_time_eq};

/// How far the clocks of a home organisation and of this server may differ, in seconds.
const SKEW: i64 = 60;
/// The longest ID token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 * 1024;
/// The longest subject (OpenID Connect Core 2).
const MAX_SUBJECT: usize = 255;

/// The signature algorithms that are accepted, whatever the home organisation offers: asymmetric, and none.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 4] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Why a token was not accepted.
#[derive(Debug)]
pub(super) enum TokenFault {
    /// It is signed with a key that is not among those at hand.
    UnknownKey,
    /// It is wrong, whatever the keys.
    Wrong(UpstreamError),
}

impl From<UpstreamError> for TokenFault {
    fn from(error: UpstreamError) -> Self {
        Self::Wrong(error)
    }
}

/// What a token says, verified.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) subject: String,
    pub(super) auth_time: Timestamp,
    pub(super) amr: Vec<String>,
    pub(super) profile: Profile,
}

/// What a home organisation says about a person beyond who they are; nothing of it is a key to anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) email: Option<String>,
    pub(super) email_verified: bool,
    pub(super) name: Option<String>,
}

/// The parts of a header that are looked at before the library does.
#[derive(Deserialize)]
struct Header {
    kid: Option<String>,
}

/// The times of a token, as numbers and nothing else. The library would also take texts.
#[derive(Deserialize)]
struct Times {
    exp: serde_json::Number,
    iat: serde_json::Number,
    nbf: Option<serde_json::Number>,
    auth_time: Option<serde_json::Number>,
}

/// Verifies an ID token that came with `access_token` (OpenID Connect Core 3.1.3.7).
pub(super) fn verify(
    token: &CoreIdToken,
    access_token: &AccessToken,
    provider: &Provider,
    client_id: &ClientId,
    attempt: &UpstreamAttempt,
    now: Timestamp,
) -> Result<Statement, TokenFault> {
    check_form(token, now)?;
    let clock = DateTime::<Utc>::from_timestamp(now.as_second(), 0).unwrap_or_default();
    let skew = TimeDelta::seconds(SKEW);
    let verifier = IdTokenVerifier::new_public_client(client_id.clone(), provider.issuer.clone(), provider.keys.clone())
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || clock - skew)
        .set_issue_time_verifier_fn(
            move |issued| {
                if issued <= clock + skew { Ok(()) } else { Err("it was issued in the future".into()) }
            },
        );
    let claims = match token.claims(&verifier, &Nonce::new(attempt.nonce.clone())) {
        Ok(claims) => claims,
        Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) => {
            return Err(TokenFault::UnknownKey);
        }
        Err(error) => return Err(UpstreamError::caused("its ID token is not valid", error).into()),
    };
    if claims.authorized_party().is_some_and(|party| party != client_id) {
        return Err(UpstreamError::invalid("its ID token was issued to another client (azp)").into());
    }
    if let Some(claimed) = claims.access_token_hash() {
        let signature = |error: SignatureVerificationError| UpstreamError::caused("its ID token is not valid", error);
        let (algorithm, key) = (token.signing_alg().map_err(signature)?, token.signing_key(&verifier).map_err(signature)?);
        let actual = AccessTokenHash::from_token(access_token, algorithm, key)
            .map_err(|error| UpstreamError::caused("at_hash cannot be computed", error))?;
        if !constant_time_eq(actual.as_bytes(), claimed.as_bytes()) {
            return Err(UpstreamError::invalid("its access token is not the one that its ID token is for (at_hash)").into());
        }
    }
    Ok(Statement {
        subject: subject(claims)?,
        auth_time: auth_time(claims, attempt, now)?,
        amr: claims.auth_method_refs().into_iter().flatten().take(8).filter_map(|word| shown(word, 32)).collect(),
        profile: Profile {
            email: claims.email().map(|email| email.as_str().to_owned()),
            email_verified: claims.email_verified().unwrap_or_default(),
            name: claims.name().and_then(|name| name.get(None)).and_then(|name| shown(name, 256)),
        },
    })
}

/// Looks at what the library does not: the token's size, the length of its key id, `nbf`, and times that are no numbers
/// (checklist J-03, J-04).
fn check_form(token: &CoreIdToken, now: Timestamp) -> Result<(), UpstreamError> {
    let compact = token.to_string();
    if compact.len() > MAX_TOKEN {
        return Err(UpstreamError::invalid("its ID token is too large"));
    }
    let mut parts = compact.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_default());
    let (header, payload) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let header: Header =
        serde_json::from_slice(&header).map_err(|_| UpstreamError::invalid("the header of its ID token cannot be read"))?;
    if header.kid.is_some_and(|id| id.len() > MAX_KEY_ID) {
        return Err(UpstreamError::invalid("its ID token names a key by more than a name"));
    }
    let times: Times = serde_json::from_slice(&payload)
        .map_err(|_| UpstreamError::invalid("its ID token lacks a time, or has one that is no number"))?;
    let seconds = |time: &serde_json::Number| time.as_f64().filter(|seconds| (0.0..1e11).contains(seconds));
    let all = [Some(&times.exp), Some(&times.iat), times.nbf.as_ref(), times.auth_time.as_ref()];
    if all.into_iter().flatten().any(|time| seconds(time).is_none()) {
        return Err(UpstreamError::invalid("its ID token has a time that is out of range"));
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds of our age are exact in an f64")]
    let latest = (now.as_second() + SKEW) as f64;
    match times.nbf.as_ref().and_then(seconds) {
        Some(not_before) if not_before > latest => Err(UpstreamError::invalid("its ID token is not valid yet")),
        _ => Ok(()),
    }
}

fn subject(claims: &CoreIdTokenClaims) -> Result<String, UpstreamError> {
    let subject = claims.subject().as_str();
    if subject.is_empty() || subject.len() > MAX_SUBJECT || subject.chars().any(char::is_control) {
        return Err(UpstreamError::invalid("its ID token has no proper subject"));
    }
    Ok(subject.to_owned())
}

/// When the person signed in there; checked where the request demanded how recently. Where the home organisation does not
/// say, it was at the latest when the token was issued.
fn auth_time(claims: &CoreIdTokenClaims, attempt: &UpstreamAttempt, now: Timestamp) -> Result<Timestamp, UpstreamError> {
    let stated = claims.auth_time().map(|time| time.timestamp());
    if stated.is_some_and(|time| time > now.as_second() + SKEW) {
        return Err(UpstreamError::invalid("it says that the person signed in in the future"));
    }
    if let Some(max_age) = attempt.max_age {
        let earliest = attempt.started.as_second() - i64::from(max_age) - SKEW;
        if stated.is_none_or(|time| time < earliest) {
            return Err(UpstreamError::invalid("the person was to sign in anew there, and did not"));
        }
    }
    let time = stated.unwrap_or_else(|| claims.issue_time().timestamp()).min(now.as_second());
    Timestamp::from_second(time).map_err(|error| UpstreamError::Invalid { what: "its time", source: Some(Arc::new(error)) })
}

/// A text of others in a form that can be shown: of its characters that [`is_plain_char`], `limit` at most.
pub(super) fn shown(text: &str, limit: usize) -> Option<String> {
    let kept: String = text.chars().filter(|c| is_plain_char(*c)).take(limit).collect();
    Some(kept.trim().to_owned()).filter(|kept| !kept.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_shown_on_one_line() {
        assert_eq!(shown(" Ada\r\n\u{202e}Lovelace\0 ", 256).as_deref(), Some("AdaLovelace"));
        assert_eq!(shown("Ada\u{2028}Love\u{2029}lace\u{200b}", 256).as_deref(), Some("AdaLovelace"));
        assert_eq!(shown("abc", 2).as_deref(), Some("ab"));
        assert_eq!(shown(" \u{200f}\u{61c}\t", 9), None);
    }
}
