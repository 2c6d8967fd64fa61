//! Refusing well: what happened, what to do next, whom to ask, and a way on from the page itself.

use askama::Template;
use http::StatusCode;

use super::{Chrome, Contact, Field, Link, Page, page_response, sign_in::way_key};
use crate::{domain::tenant::IdentitySource, error::Code};

/// A refusal. Its status is the code's.
#[derive(Clone, Debug, Template)]
#[template(path = "refusal.html")]
pub struct Refusal {
    /// Around it. The account in use, its switch button and the trace id are shown from here.
    pub chrome: Chrome,
    /// Which refusal.
    pub code: Code,
    /// The organisation that the link leads to, where that helps.
    pub expected_organisation: Option<String>,
    /// The home organisation that did not bring a proof.
    pub home_organisation: Option<String>,
    /// The address that was invited, where it may be said and is not the account in use.
    pub invited_as: Option<String>,
    /// The field for the organisation's domain, on a common link.
    pub organisation_form: Option<OrganisationForm>,
    /// The link that was followed, to try again.
    pub start_again: Option<Link>,
    /// A way on that the code's next step speaks of, such as the page of the terms that are owed.
    pub go_on: Option<Link>,
    /// Another way to sign in, and its page: a mailed code, for somebody whom the home organisation did not bring in, or the
    /// one that their account is bound to.
    pub in_another_way: Option<(IdentitySource, Link)>,
    /// Where an invitation can be sent once more, where that may help.
    pub send_again: Option<Link>,
    /// The apps panel, for somebody who may open it.
    pub apps: Option<Link>,
    /// Where a guest who is kept out can leave the organisation.
    pub leave: Option<Link>,
    /// Whom to ask.
    pub contact: Option<Contact>,
}

impl Refusal {
    /// A refusal with nothing but its code.
    #[must_use]
    pub fn new(chrome: Chrome, code: Code) -> Self {
        Self {
            chrome,
            code,
            expected_organisation: None,
            home_organisation: None,
            invited_as: None,
            organisation_form: None,
            start_again: None,
            go_on: None,
            in_another_way: None,
            send_again: None,
            apps: None,
            leave: None,
            contact: None,
        }
    }

    /// Whether another account may be a way on: what was refused is this one, and it can be switched.
    pub(in crate::http) fn switching_helps(&self) -> bool {
        let account = self.code.is_about_the_account() || self.code.is_about_the_proof();
        account && self.chrome.account.as_ref().is_some_and(|account| account.switch.is_some())
    }

    /// The likeliest way on, of those that there are: the one button that stands out.
    fn is_next(&self, way: WayOn) -> bool {
        let ways = [
            (WayOn::GoOn, self.go_on.is_some()),
            (WayOn::InAnotherWay, self.in_another_way.is_some()),
            (WayOn::Organisation, self.organisation_form.is_some()),
            (WayOn::SwitchAccount, self.switching_helps()),
            (WayOn::StartAgain, self.start_again.is_some()),
            (WayOn::SendAgain, self.send_again.is_some()),
            (WayOn::Apps, self.apps.is_some()),
        ];
        ways.into_iter().find(|(_, there)| *there).is_some_and(|(next, _)| next == way)
    }

    /// The id of the button that leads on in another way.
    fn way_id(source: &IdentitySource) -> &'static str {
        match source {
            IdentitySource::HomeOrganisation => "with-organisation",
            IdentitySource::OneTimePasscode => "with-code",
            IdentitySource::LocalAccount => "with-account",
        }
    }

    fn way_key(&self, source: &IdentitySource) -> &'static str {
        way_key(*source, self.home_organisation.is_some())
    }

    fn has_details(&self) -> bool {
        self.expected_organisation.is_some() || self.home_organisation.is_some() || self.invited_as.is_some()
    }
}

/// A way on from a refusal, the likeliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WayOn {
    GoOn,
    InAnotherWay,
    Organisation,
    SwitchAccount,
    StartAgain,
    SendAgain,
    Apps,
}

/// Asks a common link's guest for the organisation. A GET with `organisation` and `fields`.
#[derive(Clone, Debug)]
pub struct OrganisationForm {
    /// Where it leads.
    pub action: Link,
    /// What was typed.
    pub value: String,
    /// What is kept of the link.
    pub fields: Vec<Field>,
    /// What was wrong with it.
    pub error: Option<Code>,
}

/// The guest has declined or cancelled. Its status is the code's.
#[derive(Clone, Debug, Template)]
#[template(path = "declined.html")]
pub struct Declined {
    /// Around it.
    pub chrome: Chrome,
    /// [`Code::ConsentDeclined`], [`Code::TermsDeclined`] or [`Code::Cancelled`].
    pub code: Code,
    /// The link that was followed, to start again.
    pub start_again: Option<Link>,
    /// The app's name and where it takes the answer, for a client that waits for one.
    pub back_to_app: Option<(String, Link)>,
}

impl Page for Refusal {
    fn chrome(&self) -> &Chrome {
        &self.chrome
    }

    fn status(&self) -> StatusCode {
        self.code.status()
    }
}

impl Page for Declined {
    fn chrome(&self) -> &Chrome {
        &self.chrome
    }

    fn status(&self) -> StatusCode {
        self.code.status()
    }
}

page_response!(Refusal);
page_response!(Declined);
