//! Sign-out asked for by an app (OpenID Connect RP-Initiated Logout 1.0).
//!
//! Any site can send a browser here, so only an ID token of ours for the present session signs out at once; everything else asks
//! the person first. A browser goes on to an app's address only when that address is registered for a client that is known.

use jiff::Timestamp;

use super::{
    authorize::with_query,
    jose::{PublicKeys, Verified},
    params::{Known, Params},
    token::{IdClaims, verify_hint},
};
use crate::{
    domain::{AppId, SessionId, app::App},
    error::Code,
};

const KNOWN: &[Known] = &[
    ("id_token_hint", 16 * 1024),
    ("client_id", 64),
    ("post_logout_redirect_uri", 2048),
    ("state", super::authorize::MAX_STATE),
];

/// A logout request, with its hint verified. An expired hint is good: it is often all that an app still has.
#[derive(Debug)]
pub struct LogoutRequest {
    hint: Hint,
    client: Option<AppId>,
    redirect_uri: Option<String>,
    state: Option<String>,
}

#[derive(Debug)]
enum Hint {
    Absent,
    /// Not ours, not of this tenant, not signed by a key that is published.
    Invalid,
    Valid(Box<Verified<IdClaims>>),
}

/// What to do about a logout request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogoutDecision {
    /// Sign out, then go on.
    SignOut {
        /// The session, which is the present one if there is one.
        session: SessionId,
        /// Where to; `None` for the page that says so.
        then: Option<String>,
    },
    /// Ask the person. Nothing has shown that they want this.
    Confirm {
        /// Where to go once they agreed; `None` for the page that says so.
        then: Option<String>,
    },
    /// Tell the person what is wrong; sign nobody out and go nowhere.
    Refuse(Code),
}

impl LogoutRequest {
    /// Reads a query (without `?`) or a form body.
    ///
    /// # Errors
    /// [`Code::RequestInvalid`] or [`Code::ParameterRepeated`]: a page.
    pub fn parse(input: &[u8], keys: &PublicKeys, now: Timestamp) -> Result<Self, Code> {
        let mut params = Params::parse(input, KNOWN);
        if let Some((code, _)) = params.fault() {
            return Err(code);
        }
        let hint = match params.take("id_token_hint")? {
            None => Hint::Absent,
            Some(token) => verify_hint(keys, &token, now).map_or(Hint::Invalid, |hint| Hint::Valid(Box::new(hint))),
        };
        let client = params.take("client_id")?.map(|id| id.parse()).transpose().map_err(|_| Code::RequestInvalid)?;
        Ok(Self { hint, client, redirect_uri: params.take("post_logout_redirect_uri")?, state: params.take("state")? })
    }

    /// The app that asks, to look it up: the one that the hint was issued to, else the one that is named.
    #[must_use]
    pub fn app(&self) -> Option<AppId> {
        match &self.hint {
            Hint::Valid(hint) => Some(hint.claims().aud),
            Hint::Absent => self.client,
            Hint::Invalid => None,
        }
    }

    /// Decides. `app` is what was found under [`LogoutRequest::app`]; `session` is the present session of the browser.
    #[must_use]
    pub fn decide(&self, app: Option<&App>, session: Option<SessionId>) -> LogoutDecision {
        let app = app.filter(|app| Some(app.id) == self.app());
        if let (Hint::Valid(hint), Some(client)) = (&self.hint, self.client)
            && hint.claims().aud != client
        {
            return LogoutDecision::Refuse(Code::RequestInvalid);
        }
        let then = match (app, self.redirect_uri.as_deref()) {
            (Some(app), Some(uri)) if app.post_logout_redirect_uris.iter().all(|known| known.as_str() != uri) => {
                return LogoutDecision::Refuse(Code::PostLogoutUriUnknown);
            }
            (Some(_), Some(uri)) => Some(with_query(uri, self.state.iter().map(|state| ("state", state.as_str())))),
            // Nobody is known for whom the address could be registered.
            _ => None,
        };
        match &self.hint {
            Hint::Valid(hint) if session.is_none_or(|present| present == hint.claims().person.sid) => {
                LogoutDecision::SignOut { session: hint.claims().person.sid, then }
            }
            _ => LogoutDecision::Confirm { then },
        }
    }
}

#[cfg(test)]
mod tests;
