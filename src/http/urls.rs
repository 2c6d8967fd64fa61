//! Every path of the provider, once.

use std::fmt;

use crate::{
    domain::{AppId, FederationId, TenantId, WebUrl, terms::DocumentId},
    error::Code,
    flows::journey::JourneyId,
};

/// What a form of a journey does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Takes the address.
    Address,
    /// Mails a code, also again.
    SendCode,
    /// Takes the code.
    Code,
    /// Takes address and password.
    Password,
    /// Chooses an account that lives here.
    Account,
    /// Takes a passkey's signature.
    Passkey,
    /// Sets up an account that lives here.
    SetUp,
    /// Takes the password of an account that is set up.
    NewPassword,
    /// Takes the passkey of an account that is set up.
    NewPasskey,
    /// Goes to the home organisation.
    HomeOrganisation,
    /// Takes the answer to the review of permissions.
    Permissions,
    /// Opens the document of the agreement that is owed.
    OpenTerms,
    /// Takes the answer to an agreement.
    Terms,
    /// Starts over with another account.
    SwitchAccount,
    /// Goes on.
    Continue,
    /// Mails a code to the mailbox that has to be proven beside the identity.
    SendMailboxCode,
    /// Takes that code.
    Mailbox,
    /// Does what the journey is for, where that is not to get in.
    Confirm,
    /// Ends the journey, and lets the app know that waits for it.
    Cancel,
}

impl Action {
    /// The last segment of the path.
    #[must_use]
    pub fn segment(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::SendCode => "send-code",
            Self::Code => "code",
            Self::Password => "password",
            Self::Account => "account",
            Self::Passkey => "passkey",
            Self::SetUp => "set-up",
            Self::NewPassword => "new-password",
            Self::NewPasskey => "new-passkey",
            Self::HomeOrganisation => "home-organisation",
            Self::Permissions => "permissions",
            Self::OpenTerms => "open-terms",
            Self::Terms => "terms",
            Self::SwitchAccount => "switch-account",
            Self::Continue => "continue",
            Self::SendMailboxCode => "send-mailbox-code",
            Self::Mailbox => "mailbox",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
        }
    }
}

impl Action {
    /// The action with this last segment.
    #[must_use]
    pub fn from_segment(segment: &str) -> Option<Self> {
        [
            Self::Address,
            Self::SendCode,
            Self::Code,
            Self::Password,
            Self::Account,
            Self::Passkey,
            Self::SetUp,
            Self::NewPassword,
            Self::NewPasskey,
            Self::HomeOrganisation,
            Self::Permissions,
            Self::OpenTerms,
            Self::Terms,
            Self::SwitchAccount,
            Self::Continue,
            Self::SendMailboxCode,
            Self::Mailbox,
            Self::Confirm,
            Self::Cancel,
        ]
        .into_iter()
        .find(|action| action.segment() == segment)
    }
}

/// A path on this server.
#[derive(Clone, Copy, Debug)]
pub enum Path {
    /// The apps panel.
    Panel(TenantId),
    /// A direct link to an app.
    App(TenantId, AppId),
    /// The page that a journey owes.
    Journey(TenantId, JourneyId),
    /// A form of a journey.
    Form(TenantId, JourneyId, Action),
    /// A document of an agreement, as a journey shows it.
    Document(TenantId, JourneyId, DocumentId),
    /// Where a home organisation sends people back to: one path each, so that answers cannot be mixed up.
    Callback(TenantId, FederationId),
    /// A tenant's logo.
    Logo(TenantId, DocumentId),
    /// Ends the session.
    SignOut(TenantId),
    /// Where a guest leaves the organisation.
    Leave(TenantId),
    /// Where somebody says that they want no invitations by mail.
    BlockInvitations(TenantId),
    /// Where somebody asks for their invitation once more.
    SendAgain(TenantId),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panel(tenant) => write!(f, "/{tenant}"),
            Self::App(tenant, app) => write!(f, "/api/signin/{app}?tenantId={tenant}"),
            Self::Journey(tenant, id) => write!(f, "/{tenant}/journey/{id}"),
            Self::Form(tenant, id, action) => write!(f, "/{tenant}/journey/{id}/{}", action.segment()),
            Self::Document(tenant, id, document) => write!(f, "/{tenant}/journey/{id}/document/{document}"),
            Self::Callback(tenant, federation) => write!(f, "/{tenant}/federation/{federation}/callback"),
            Self::Logo(tenant, logo) => write!(f, "/{tenant}/logo/{logo}"),
            Self::SignOut(tenant) => write!(f, "/{tenant}/sign-out"),
            Self::Leave(tenant) => write!(f, "/{tenant}/leave"),
            Self::BlockInvitations(tenant) => write!(f, "/{tenant}/block-invitations"),
            Self::SendAgain(tenant) => write!(f, "/{tenant}/invitation"),
        }
    }
}

/// The redirect URI of a federation, from the configured origin.
///
/// # Errors
/// [`Code::Internal`], which no configured origin leads to.
pub fn callback(public_url: &WebUrl, tenant: TenantId, federation: FederationId) -> Result<WebUrl, Code> {
    let base = public_url.as_str().trim_end_matches('/');
    format!("{base}{}", Path::Callback(tenant, federation)).parse().map_err(|_| Code::Internal)
}

/// The routes, as the router wants them.
pub mod routes {
    /// Common link, and the panel by `tenantid`.
    pub const ROOT: &str = "/";
    /// The panel by authority.
    pub const PANEL: &str = "/{authority}";
    /// A direct link by `tenantid`.
    pub const SIGN_IN: &str = "/signin/{name}/{app}";
    /// A direct link by authority.
    pub const SIGN_IN_BY_AUTHORITY: &str = "/{authority}/signin/{name}/{app}";
    /// A direct link without a name.
    pub const API_SIGN_IN: &str = "/api/signin/{app}";
    /// The link of an invitation.
    pub const REDEEM: &str = "/redeem";
    /// The same, as it was written in 2019 (b2b-facts section 1.4).
    pub const REDEEM_2019: &str = "/redeem/";
    /// Where a guest leaves the organisation.
    pub const LEAVE: &str = "/{authority}/leave";
    /// Where somebody says that they want no invitations by mail.
    pub const BLOCK_INVITATIONS: &str = "/{authority}/block-invitations";
    /// Where somebody asks for their invitation once more.
    pub const SEND_AGAIN: &str = "/{authority}/invitation";
    /// The page that a journey owes.
    pub const JOURNEY: &str = "/{authority}/journey/{journey}";
    /// A form of a journey.
    pub const FORM: &str = "/{authority}/journey/{journey}/{action}";
    /// A document of an agreement.
    pub const DOCUMENT: &str = "/{authority}/journey/{journey}/document/{document}";
    /// Where home organisations send people back to.
    pub const CALLBACK: &str = "/{authority}/federation/{federation}/callback";
    /// A tenant's logo.
    pub const LOGO: &str = "/{authority}/logo/{logo}";
    /// Ends the session.
    pub const SIGN_OUT: &str = "/{authority}/sign-out";
    /// Authorization endpoint.
    pub const AUTHORIZE: &str = "/{authority}/oauth2/v2.0/authorize";
    /// Token endpoint.
    pub const TOKEN: &str = "/{authority}/oauth2/v2.0/token";
    /// End-session endpoint.
    pub const LOGOUT: &str = "/{authority}/oauth2/v2.0/logout";
    /// JWKS.
    pub const KEYS: &str = "/{authority}/discovery/v2.0/keys";
    /// Userinfo.
    pub const USERINFO: &str = "/{authority}/oidc/userinfo";
    /// Discovery, OpenID Connect's location.
    pub const OPENID_CONFIGURATION: &str = "/{authority}/v2.0/.well-known/openid-configuration";
    /// Discovery, RFC 8414's location.
    pub const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server/{authority}/v2.0";
    /// Discovery, RFC 8414's location for OpenID Connect.
    pub const OPENID_CONFIGURATION_8414: &str = "/.well-known/openid-configuration/{authority}/v2.0";
    /// What doors must know at once.
    pub const LIVE_FEED: &str = "/{authority}/live/v1/feed";
    /// The root of the directory API.
    pub const DIRECTORY_API_ROOT: &str = "/v1.0";
    /// Everything below it.
    pub const DIRECTORY_API: &str = "/v1.0/{*path}";
    /// The process runs.
    pub const HEALTHZ: &str = "/healthz";
    /// The server can serve.
    pub const READYZ: &str = "/readyz";
}
