//! Who is there: address, mailed code, password.

use askama::Template;

use super::{Chrome, Link, page};
use crate::{
    domain::{journey::Errand, tenant::IdentitySource},
    error::Code,
    flows::opened::Introduction,
    i18n::Phrase,
};

/// Asks for the address. Posts `email`.
#[derive(Clone, Debug, Template)]
#[template(path = "identify.html")]
pub struct Identify {
    /// Around it.
    pub chrome: Chrome,
    /// Where the form posts to.
    pub action: Link,
    /// The app that the link leads to, by name.
    pub app: Option<String>,
    /// What the address is asked for, if not to get in.
    pub errand: Option<Errand>,
    /// The invitation that is about to be accepted, of which the page tells first.
    pub invited: Option<Introduction>,
    /// Whether the person has asked to use another address than the one before.
    pub another: bool,
    /// Where the button of who does not want to sign in after all posts to; `None` where no app waits for an answer.
    pub cancel: Option<Link>,
    /// What is in the field: a hint, or what was typed.
    pub email: String,
    /// What was wrong with it.
    pub error: Option<Code>,
}

/// Another way to prove who one is: a button of its own, which posts nothing but the token of the flow.
#[derive(Clone, Debug)]
pub struct OtherWay {
    /// Which way.
    pub source: IdentitySource,
    /// The home organisation, by name.
    pub organisation: Option<String>,
    /// Where it posts to.
    pub action: Link,
}

/// The words for a way to sign in, with the home organisation's name where it is `named`.
pub(super) fn way_key(source: IdentitySource, named: bool) -> &'static str {
    match source {
        IdentitySource::HomeOrganisation if named => "way-organisation-named",
        IdentitySource::HomeOrganisation => "way-organisation",
        IdentitySource::OneTimePasscode => "way-code",
        IdentitySource::LocalAccount => "way-account",
    }
}

impl OtherWay {
    fn phrase_key(&self) -> &'static str {
        way_key(self.source, self.organisation.is_some())
    }

    fn organisation_name(&self) -> &str {
        self.organisation.as_deref().unwrap_or_default()
    }
}

/// Tells of an invitation to somebody whose home organisation signs them in, before they are sent there. Posts nothing but the
/// token of the flow.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_in_at_home.html")]
pub struct SignInAtHome {
    /// Around it; the account in use is the address, and switching it leads back to [`Identify`].
    pub chrome: Chrome,
    /// Where the form posts to.
    pub action: Link,
    /// The invitation.
    pub invited: Option<Introduction>,
    /// The home organisation, by name.
    pub organisation: String,
    /// Other ways that are open to this address.
    pub other_ways: Vec<OtherWay>,
}

/// Offers to mail a code. Posts nothing but the token of the flow.
#[derive(Clone, Debug, Template)]
#[template(path = "send_code.html")]
pub struct SendCode {
    /// Around it; the account in use is the address, and switching it leads back to [`Identify`].
    pub chrome: Chrome,
    /// Where the form posts to.
    pub action: Link,
    /// The invitation that is about to be accepted, of which the page tells first.
    pub invited: Option<Introduction>,
    /// The address as it was typed.
    pub email: String,
    /// Whether it is the one that was invited, by the link that was opened.
    pub of_invited: bool,
    /// Other ways that are open to this address.
    pub other_ways: Vec<OtherWay>,
    /// Why no code was sent.
    pub error: Option<Code>,
}

/// Asks for the code that was mailed, or was not: the page is the same, but for who has the link of an invitation there.
/// Posts `code`.
#[derive(Clone, Debug, Template)]
#[template(path = "enter_code.html")]
pub struct EnterCode {
    /// Around it; the account in use is the address, and switching it leads back to [`Identify`].
    pub chrome: Chrome,
    /// Where the form posts to.
    pub action: Link,
    /// Where the button that asks for another code posts to.
    pub send: Link,
    /// The address as it was typed.
    pub email: String,
    /// Whether it is the one that was invited, by the link that was opened: then a code was sent there.
    pub of_invited: bool,
    /// How many minutes a code lives.
    pub minutes: u32,
    /// Whether this is the answer to asking for another code.
    pub resent: bool,
    /// Other ways that are open to this address.
    pub other_ways: Vec<OtherWay>,
    /// What was wrong with the code.
    pub error: Option<Code>,
}

/// What a browser needs to use a passkey: a form that `assets/passkey.js` shows and fills in. Posts `credential`, which is
/// the browser's answer as JSON.
#[derive(Clone, Debug)]
pub struct PasskeyForm {
    /// Where it posts to.
    pub action: Link,
    /// The argument of `navigator.credentials.create` or `.get`, as JSON.
    pub options: String,
}

/// Asks for what opens an account that lives here: a passkey, or address and password. Posts `email` and `password`: the
/// address can still be corrected here.
#[derive(Clone, Debug, Template)]
#[template(path = "password.html")]
pub struct Password {
    /// Around it.
    pub chrome: Chrome,
    /// Where the form posts to.
    pub action: Link,
    /// The app that is signed in to, by name.
    pub app: Option<String>,
    /// The invitation that is about to be accepted, of which the page tells first.
    pub invited: Option<Introduction>,
    /// The address.
    pub email: String,
    /// The passkey's form, where passkeys are offered.
    pub passkey: Option<PasskeyForm>,
    /// Where the button of who has no account yet, or lost what opens it, posts to; `None` where nobody sets one up.
    pub set_up: Option<Link>,
    /// Whether that is the likeliest way on: an invitation to this address, which nobody has accepted yet.
    pub set_up_first: bool,
    /// Other ways that are open to this address.
    pub other_ways: Vec<OtherWay>,
    /// What was wrong.
    pub error: Option<Code>,
}

/// Sets up an account that lives here: with a passkey, or with a password. Posts `password`.
#[derive(Clone, Debug, Template)]
#[template(path = "set_up_account.html")]
pub struct SetUpAccount {
    /// Around it; the account in use is the one that is set up.
    pub chrome: Chrome,
    /// Where the password's form posts to.
    pub action: Link,
    /// The passkey's form, where passkeys are offered.
    pub passkey: Option<PasskeyForm>,
    /// The name of the account, which password managers keep beside the password.
    pub name: String,
    /// Whether there was an account, which is set up anew.
    pub again: bool,
    /// What was wrong.
    pub error: Option<Code>,
}

impl Identify {
    fn heading(&self) -> Phrase<'_> {
        let of = |key| self.chrome.t(key).with("tenant", self.chrome.tenant_name());
        match self.errand {
            None => heading(&self.chrome, self.app.as_deref()),
            Some(Errand::Leave) => of("leave-heading"),
            Some(Errand::BlockInvitations) => of("invitations-heading"),
            Some(Errand::SendAgain) => of("again-heading"),
        }
    }

    fn lead(&self) -> &'static str {
        match self.errand {
            None if self.another => "identify-lead-another",
            None => "identify-lead",
            Some(Errand::Leave) => "leave-identify-lead",
            Some(Errand::BlockInvitations) => "invitations-identify-lead",
            Some(Errand::SendAgain) => "identify-lead",
        }
    }
}

impl SetUpAccount {
    /// There is no other way beside it.
    fn is_set_up_first(&self) -> bool {
        false
    }
}

impl Password {
    fn is_set_up_first(&self) -> bool {
        self.set_up_first
    }

    fn heading(&self) -> Phrase<'_> {
        heading(&self.chrome, self.app.as_deref())
    }
}

/// What is signed in to: an app of an organisation, or the organisation.
fn heading<'a>(chrome: &Chrome, app: Option<&str>) -> Phrase<'a> {
    match app {
        Some(app) => chrome.t("identify-heading-app").with("app", app).with("tenant", chrome.tenant_name()),
        None => chrome.t("identify-heading").with("tenant", chrome.tenant_name()),
    }
}

page!(Identify, SignInAtHome, SendCode, EnterCode, Password, SetUpAccount);
