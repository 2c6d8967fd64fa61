//! The apps panel, and signing out.

use askama::Template;

use super::{Chrome, Contact, Link, page};

/// An app that the guest can open.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Its name.
    pub name: String,
    /// One line about it.
    pub description: Option<String>,
    /// Where it starts.
    pub start: Link,
}

impl Tile {
    fn monogram(&self) -> String {
        self.name.chars().find(|c| c.is_alphanumeric()).into_iter().flat_map(char::to_uppercase).collect()
    }
}

/// The apps that a guest can open. Signing out posts nothing but the token.
#[derive(Clone, Debug, Template)]
#[template(path = "panel.html")]
pub struct AppsPanel {
    /// Around it.
    pub chrome: Chrome,
    /// What the person is called.
    pub name: String,
    /// The apps.
    pub tiles: Vec<Tile>,
    /// Whom to ask where one is missing.
    pub contact: Option<Contact>,
    /// Where the button `sign-out` posts to.
    pub sign_out: Link,
    /// Where a guest can leave the organisation; `None` for its own people.
    pub leave: Option<Link>,
}

/// Asks whether to sign out, since another site may have led here. Posts nothing but the token.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_out_confirm.html")]
pub struct SignOutConfirm {
    /// Around it.
    pub chrome: Chrome,
    /// The app that asks, by name.
    pub app: Option<String>,
    /// Where the form posts to.
    pub action: Link,
    /// Where `cancel` leads.
    pub stay: Link,
}

/// The session has ended.
#[derive(Clone, Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOut {
    /// Around it.
    pub chrome: Chrome,
    /// The home organisation, by name, where a session may still be open.
    pub home_organisation: Option<String>,
    /// Where to sign in again.
    pub sign_in: Option<Link>,
}

impl AppsPanel {
    fn count(&self) -> u32 {
        u32::try_from(self.tiles.len()).unwrap_or(u32::MAX)
    }
}

page!(AppsPanel, SignOutConfirm, SignedOut);
