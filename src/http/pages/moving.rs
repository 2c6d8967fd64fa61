//! Going on: to another origin, or past a press of a button.

use askama::Template;
use http::StatusCode;

use super::{Chrome, Field, Link, Page, page, page_response};

/// What a [`Leaving`] page leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The guest's home organisation, to sign in there.
    HomeOrganisation,
    /// The app, with the answer to its request.
    App,
    /// Where an invitation leads; the organisation is named.
    Invited,
    /// The place that asked for signing out.
    AfterSignOut,
}

impl Destination {
    fn heading(self) -> &'static str {
        match self {
            Self::HomeOrganisation => "leaving-home-heading",
            Self::App => "leaving-app-heading",
            Self::Invited => "leaving-invited-heading",
            Self::AfterSignOut => "leaving-signed-out-heading",
        }
    }

    fn lead(self) -> &'static str {
        match self {
            Self::HomeOrganisation => "leaving-home-lead",
            Self::App => "leaving-app-lead",
            Self::Invited => "leaving-invited-lead",
            Self::AfterSignOut => "leaving-signed-out-lead",
        }
    }
}

/// Leads to another origin by a refresh and a link: a redirect after a POST would be stopped by `form-action`.
#[derive(Clone, Debug, Template)]
#[template(path = "leaving.html")]
pub struct Leaving {
    /// Around it.
    pub chrome: Chrome,
    /// What it leads to.
    pub destination: Destination,
    /// Its name: the home organisation or the app.
    pub name: String,
    /// Where exactly.
    pub to: Link,
}

/// Posts an answer to a client (`response_mode=form_post`), by script or by the button.
#[derive(Clone, Debug, Template)]
#[template(path = "form_post.html")]
pub struct FormPost {
    /// Around it.
    pub chrome: Chrome,
    /// The app's name.
    pub app: String,
    /// Its redirect URI; the page's `form-action` names its origin.
    pub to: Link,
    /// The parameters of the answer.
    pub fields: Vec<Field>,
}

/// Everything is settled; one press goes on. Posts nothing but the token of the flow.
#[derive(Clone, Debug, Template)]
#[template(path = "resume.html")]
pub struct Resume {
    /// Around it.
    pub chrome: Chrome,
    /// Where the form posts to.
    pub action: Link,
    /// The app that is entered, by name; `None` for the apps panel.
    pub app: Option<String>,
}

page!(Leaving, Resume);

impl Page for FormPost {
    fn chrome(&self) -> &Chrome {
        &self.chrome
    }

    fn status(&self) -> StatusCode {
        StatusCode::OK
    }

    fn posts_to(&self) -> Option<String> {
        self.to.origin()
    }
}

page_response!(FormPost);
