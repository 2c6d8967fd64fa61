//! Answers to an authorization request, and where they go.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::ResponseMode;
use crate::{
    error::{Code, OAuthError},
    oidc::{discovery::Issuer, params},
};

/// Where an answer goes: a registered redirect URI of the client that asked. Made only by binding a request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseTarget {
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) response_mode: ResponseMode,
}

/// Without `state`, which is the client's secret.
impl std::fmt::Debug for ResponseTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseTarget").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

impl ResponseTarget {
    /// The redirect URI exactly as it was asked for.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// How the answer travels.
    #[must_use]
    pub fn response_mode(&self) -> ResponseMode {
        self.response_mode
    }

    /// An answer with `iss` (RFC 9207) and the unchanged `state`.
    pub(super) fn answer<'a>(
        &'a self,
        mut fields: Vec<(&'static str, Cow<'a, str>)>,
        issuer: &'a Issuer,
    ) -> AuthorizationResponse {
        if let Some(state) = &self.state {
            fields.push(("state", state.as_str().into()));
        }
        fields.push(("iss", issuer.as_str().into()));
        match self.response_mode {
            ResponseMode::Query => {
                let fields = fields.iter().map(|(name, value)| (*name, value.as_ref()));
                AuthorizationResponse::Redirect { location: with_query(&self.redirect_uri, fields) }
            }
            ResponseMode::FormPost => AuthorizationResponse::FormPost {
                action: self.redirect_uri.clone(),
                fields: fields.into_iter().map(|(name, value)| (name, value.into_owned())).collect(),
            },
        }
    }
}

/// `uri`, a registered one without fragment, with `fields` added to its query. The text of the URI stays as it is.
pub(in crate::oidc) fn with_query<'f>(uri: &str, fields: impl Iterator<Item = (&'static str, &'f str)>) -> String {
    let mut location = uri.to_owned();
    for (name, value) in fields {
        if !location.ends_with(['?', '&']) {
            location.push(if location.contains('?') { '&' } else { '?' });
        }
        params::append(&mut location, name, value);
    }
    location
}

/// An answer, ready for transport.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthorizationResponse {
    /// A redirect (303) to this address.
    Redirect {
        /// The value of `Location`.
        location: String,
    },
    /// A page with a form that posts itself, and a button where there are no scripts.
    FormPost {
        /// Where the form goes.
        action: String,
        /// Its hidden fields. Escape them.
        fields: Vec<(&'static str, String)>,
    },
}

/// Without the code.
impl std::fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Redirect { .. } => "Redirect(..)",
            Self::FormPost { .. } => "FormPost(..)",
        })
    }
}

/// A refusal that may be told to the client; plain data, which can travel sealed until the person has authenticated (S-25).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedirectError {
    pub(super) target: ResponseTarget,
    #[serde(with = "code_number")]
    pub(super) code: Code,
    /// Words for the app's maker beyond those of the code; may be empty.
    pub(super) description: String,
    /// The request asked for silence (`prompt=none`, also in wrong company), so no page may come first.
    pub(super) silent: bool,
}

impl RedirectError {
    /// What is wrong.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// Whether the request asked that nobody be shown anything.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// What it is called in OAuth.
    #[must_use]
    pub fn error(&self) -> OAuthError {
        self.code.oauth()
    }

    /// The `error_description`: our code, its sentence, and what is to blame. Only characters that RFC 6749 section 4.1.2.1
    /// allows.
    #[must_use]
    pub fn description(&self) -> String {
        let mut text = format!("{}: {}", self.code, self.code.sentence());
        if !self.description.is_empty() {
            text.push_str(" (");
            text.push_str(&self.description);
            text.push(')');
        }
        text.retain(|c| matches!(c, ' '..='~') && c != '"' && c != '\\');
        text
    }

    /// The answer that tells the client.
    #[must_use]
    pub fn response(&self, issuer: &Issuer) -> AuthorizationResponse {
        let fields = vec![("error", self.error().as_str().into()), ("error_description", self.description().into())];
        self.target.answer(fields, issuer)
    }

    /// Where it goes.
    #[must_use]
    pub fn target(&self) -> &ResponseTarget {
        &self.target
    }
}

/// A code by its number, which never changes.
mod code_number {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::error::Code;

    pub(super) fn serialize<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(code.number())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        let number = u16::deserialize(deserializer)?;
        Code::ALL.iter().find(|code| code.number() == number).copied().ok_or_else(|| D::Error::custom("no such code"))
    }
}
