//! Leaving, and invitations by mail.

use askama::Template;

use super::{Chrome, Contact, Link, page};
use crate::error::Code;

/// Asks whether to leave the organisation. Posts nothing but the token.
#[derive(Clone, Debug, Template)]
#[template(path = "confirm_leave.html")]
pub struct ConfirmLeave {
    /// Around it.
    pub chrome: Chrome,
    /// Where the button `leave` posts to.
    pub action: Link,
    /// Where `cancel` leads.
    pub stay: Link,
    /// Whom to ask, also afterwards.
    pub contact: Option<Contact>,
}

/// The guest has left.
#[derive(Clone, Debug, Template)]
#[template(path = "left.html")]
pub struct Left {
    /// Around it.
    pub chrome: Chrome,
    /// Whom to ask to be let in again, or about what is kept.
    pub contact: Option<Contact>,
}

/// Says whether an address gets invitations by mail, and changes it. Posts `answer`, `block` or `allow`.
#[derive(Clone, Debug, Template)]
#[template(path = "invitations_by_mail.html")]
pub struct InvitationsByMail {
    /// Around it.
    pub chrome: Chrome,
    /// Where the form posts to.
    pub action: Link,
    /// The address.
    pub address: String,
    /// Whether it gets none.
    pub blocked: bool,
}

/// Offers to send an open invitation once more, or says that it was, or was not: the page is the same. Posts nothing but the
/// token.
#[derive(Clone, Debug, Template)]
#[template(path = "send_again.html")]
pub struct SendAgain {
    /// Around it.
    pub chrome: Chrome,
    /// Where the form posts to.
    pub action: Link,
    /// The address as it was typed.
    pub address: String,
    /// Where to type another one.
    pub other: Link,
    /// Whether it was asked for.
    pub asked: bool,
    /// Whom to ask instead.
    pub contact: Option<Contact>,
    /// Why nothing was sent, whoever has the address.
    pub error: Option<Code>,
}

page!(ConfirmLeave, Left, InvitationsByMail, SendAgain);
