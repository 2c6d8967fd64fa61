//! Client authentication (RFC 6749 section 2.3): one method a request, compared in constant time.

use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use crate::{
    domain::{
        AppId,
        app::{App, ClientType},
    },
    error::Code,
    oidc::params::{Params, decode},
    secret::{Secret, SecretHash},
};

/// What a client says about itself in a token request.
#[derive(Debug)]
pub struct ClientCredentials {
    /// Its `client_id`.
    pub id: AppId,
    /// Its secret, unless it is public.
    pub secret: Option<Secret>,
}

impl ClientCredentials {
    /// Takes the credentials from the `Authorization` header or from the form.
    pub(super) fn read(params: &mut Params, authorization: Option<&str>) -> Result<Self, Code> {
        let id = params.take("client_id")?;
        let secret = params.take("client_secret")?;
        let assertion = params.take("client_assertion")?.is_some() || params.take("client_assertion_type")?.is_some();
        if usize::from(authorization.is_some()) + usize::from(secret.is_some()) + usize::from(assertion) > 1 {
            return Err(Code::RequestInvalid);
        }
        if assertion {
            return Err(Code::ClientAuthentication);
        }
        let parse = |text: &str| text.parse().map_err(|_| Code::ClientAuthentication);
        match authorization {
            Some(header) => {
                let (basic_id, secret) = basic(header).ok_or(Code::ClientAuthentication)?;
                let basic_id: AppId = parse(&basic_id)?;
                // Many libraries send `client_id` in the form as well; it must not name somebody else.
                match id.map(|id| parse(&id)).transpose()? {
                    Some(other) if other != basic_id => Err(Code::RequestInvalid),
                    _ => Ok(Self { id: basic_id, secret: Some(secret) }),
                }
            }
            None => Ok(Self { id: parse(&id.ok_or(Code::ClientAuthentication)?)?, secret: secret.map(Secret::new) }),
        }
    }
}

/// Reads `Basic` credentials: strict base64, UTF-8, a colon, and both halves form-encoded (RFC 6749 section 2.3.1).
fn basic(header: &str) -> Option<(String, Secret)> {
    let (scheme, encoded) = header.split_once(' ')?;
    let bytes = Zeroizing::new(scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(encoded).ok())??);
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let secret = decode(&bytes[colon + 1..]).filter(|secret| !secret.is_empty())?;
    Some((decode(&bytes[..colon])?, Secret::new(secret)))
}

/// A client that is who it says: a confidential one that showed a secret, or a public one that has none.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    app: &'a App,
}

impl<'a> Client<'a> {
    /// An app whose door is in the process of the provider itself: nobody else can call this, so there is nothing to prove.
    #[cfg(feature = "server")]
    pub(crate) fn of_this_process(app: &'a App) -> Result<Self, Code> {
        if app.enabled { Ok(Self { app }) } else { Err(Code::ClientNotAllowed) }
    }

    /// The app.
    #[must_use]
    pub fn app(&self) -> &'a App {
        self.app
    }

    /// The app, if it proved who it is with a secret.
    #[must_use]
    pub fn confidential(&self) -> Option<&'a App> {
        matches!(self.app.client, ClientType::Confidential { .. }).then_some(self.app)
    }
}

/// Authenticates a client. `app` is what was found under [`ClientCredentials::id`]; that there is none takes no less time to say.
///
/// # Errors
/// [`Code::ClientAuthentication`] when the app is not known, the secret is wrong or missing, or a public client has one;
/// [`Code::ClientNotAllowed`] when the app is switched off.
pub fn authenticate<'a>(app: Option<&'a App>, credentials: &ClientCredentials) -> Result<Client<'a>, Code> {
    let app = app.filter(|app| app.id == credentials.id);
    let presented = credentials.secret.as_ref().map_or("", Secret::expose);
    let proven = match app.map(|app| &app.client) {
        // All of them, so that time does not tell which one it was.
        Some(ClientType::Confidential { secrets }) => {
            secrets.iter().fold(false, |any, hash| any | hash.matches(presented)) && credentials.secret.is_some()
        }
        Some(ClientType::Public) => credentials.secret.is_none(),
        None => {
            std::hint::black_box(SecretHash::of(b"nobody").matches(presented));
            false
        }
    };
    match app.filter(|_| proven) {
        Some(app) if app.enabled => Ok(Client { app }),
        Some(_) => Err(Code::ClientNotAllowed),
        None => Err(Code::ClientAuthentication),
    }
}
