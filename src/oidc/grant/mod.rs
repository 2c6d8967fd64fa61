//! The token request (RFC 6749 sections 3.2, 4.1.3, 4.4.2 and 6): who sends it, and what it wants to trade.

pub mod client;
pub mod code;
pub mod refresh;

use std::fmt;

pub use client::{Client, ClientCredentials, authenticate};
pub use code::{CODE_LIFE, CodeGrant, GrantRefusal, check_code};
pub use refresh::{Limits, PresentedToken, RefreshError, RefreshFamily, Rotated};
use serde::{Deserialize, Serialize};

use super::{
    Scopes,
    discovery::Issuer,
    params::{Known, Params},
    token::directory_scope,
};
use crate::{clock::Entropy, error::Code, secret::Secret};

/// Names what one sign-in led to: the code, and the refresh family that begins with it (so a replayed code finds what to revoke).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrantId([u8; 16]);

impl GrantId {
    /// A new random name.
    #[must_use]
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// The bytes, as part of a store key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantId({})", uuid::Uuid::from_bytes(self.0))
    }
}

const KNOWN: &[Known] = &[
    ("grant_type", 64),
    ("code", 8192),
    ("redirect_uri", 2048),
    ("code_verifier", 128),
    ("refresh_token", 256),
    ("scope", 2048),
    ("client_id", 64),
    ("client_secret", 256),
    ("client_assertion", 16 * 1024),
    ("client_assertion_type", 256),
];

/// A token request.
#[derive(Debug)]
pub struct TokenRequest {
    /// What the sender says about itself.
    pub credentials: ClientCredentials,
    /// What it wants to trade.
    pub grant: Grant,
}

/// What is traded for tokens.
#[derive(Debug)]
pub enum Grant {
    /// A code (RFC 6749 section 4.1.3).
    Code(CodeExchange),
    /// A refresh token (section 6).
    Refresh {
        /// The token.
        token: Secret,
        /// Fewer scopes than were granted, for this access token only: a list of scope tokens.
        scopes: Option<String>,
    },
    /// The client's own permissions (section 4.4).
    ClientCredentials {
        /// What is asked for; see [`directory_scope`].
        scope: String,
    },
}

/// A code with what proves that its owner brings it.
#[derive(Debug)]
pub struct CodeExchange {
    /// The code.
    pub code: Secret,
    /// The redirect URI of the authorization request.
    pub redirect_uri: Option<String>,
    /// The PKCE verifier.
    pub verifier: Option<Secret>,
}

impl TokenRequest {
    /// Reads a form body and the `Authorization` header.
    ///
    /// # Errors
    /// [`Code::RequestInvalid`] and [`Code::ParameterRepeated`] for a malformed request, also when the client authenticates in
    /// two ways; [`Code::ClientAuthentication`] for malformed credentials; [`Code::GrantTypeUnsupported`];
    /// [`Code::ScopeInvalid`].
    pub fn parse(body: &[u8], authorization: Option<&str>) -> Result<Self, Code> {
        let mut params = Params::parse(body, KNOWN);
        if let Some((code, _)) = params.fault() {
            return Err(code);
        }
        let credentials = ClientCredentials::read(&mut params, authorization)?;
        let scope = params.take("scope")?;
        let grant = match params.take("grant_type")?.as_deref() {
            Some("authorization_code") => Grant::Code(CodeExchange {
                code: Secret::new(params.take("code")?.ok_or(Code::RequestInvalid)?),
                redirect_uri: params.take("redirect_uri")?,
                verifier: params.take("code_verifier")?.map(Secret::new),
            }),
            Some("refresh_token") => Grant::Refresh {
                token: Secret::new(params.take("refresh_token")?.ok_or(Code::RequestInvalid)?),
                scopes: scope.map(|text| Scopes::parse(&text).map(|_| text).ok_or(Code::ScopeInvalid)).transpose()?,
            },
            Some("client_credentials") => Grant::ClientCredentials { scope: scope.ok_or(Code::ScopeInvalid)? },
            Some(_) => return Err(Code::GrantTypeUnsupported),
            None => return Err(Code::RequestInvalid),
        };
        Ok(Self { credentials, grant })
    }
}

/// Checks the scope of a client-credentials request: the directory API's, exactly.
///
/// # Errors
/// [`Code::ScopeInvalid`] for any other.
pub fn check_directory_scope(scope: &str, issuer: &Issuer) -> Result<(), Code> {
    if scope == directory_scope(issuer) { Ok(()) } else { Err(Code::ScopeInvalid) }
}

#[cfg(test)]
mod tests;
