//! Proving a mailbox beside the account in use, or without one.

use askama::Template;

use super::{Chrome, Link, page};
use crate::error::Code;

/// Why a mailbox has to be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// It was invited, and the account in use has another address.
    InvitedAsAnother,
    /// An account is set up for whoever holds it.
    SettingUp,
    /// What is about to change is about its address.
    AboutTheAddress,
}

/// Has a mailbox proven by a code: first offers to mail one, then asks for it. Posts nothing, or `code`.
#[derive(Clone, Debug, Template)]
#[template(path = "prove_mailbox.html")]
pub struct ProveMailbox {
    /// Around it.
    pub chrome: Chrome,
    /// Why.
    pub because: Because,
    /// The address, masked where the person has not typed it.
    pub mailbox: String,
    /// Where to type another one, where that was done here.
    pub other: Option<Link>,
    /// Whether a code was asked for.
    pub sent: bool,
    /// Whether it is the one that was invited, by the link that was opened: then a code was sent there.
    pub of_invited: bool,
    /// Where the code is posted to.
    pub action: Link,
    /// Where the button that asks for a code posts to.
    pub send: Link,
    /// How many minutes a code lives.
    pub minutes: u32,
    /// Whether this is the answer to asking for another code.
    pub resent: bool,
    /// What was wrong with the code, or why none was sent.
    pub error: Option<Code>,
}

impl ProveMailbox {
    fn lead(&self) -> &'static str {
        match self.because {
            Because::InvitedAsAnother => "mailbox-lead-invited",
            Because::SettingUp => "mailbox-lead-set-up",
            Because::AboutTheAddress => "mailbox-lead-address",
        }
    }
}

page!(ProveMailbox);
