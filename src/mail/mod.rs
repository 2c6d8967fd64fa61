//! Mail: what it says, how it waits, how it leaves.
//!
//! A mail is rendered once ([`Passcode`], [`Invitation`]; other kinds of mail get a file of their own beside them), queued
//! sealed in the same commit as what it announces ([`Outbox::enqueue`], [`Outbox::enqueue_invitation`]), and sent by a worker
//! ([`Outbox::run`]) through a [`Transport`]. What keeps codes and tickets out of logs, the store and header fields is kept
//! here, once.

mod agenda;
mod invitation;
mod message;
mod names;
mod outbox;
mod passcode;
mod quoted;
#[cfg(feature = "smtp")]
mod smtp;
mod texts;
mod transport;
mod worker;

pub use crate::domain::MailId;
pub use invitation::{Invitation, Inviter, MESSAGE_MAX};
pub use message::{ComposeError, Mail, RenderedMail, Sender, one_line};
pub use outbox::{INVITATION_TRIED, Outbox, OutboxItem, OutboxState, outbox_item, outbox_items};
pub use passcode::Passcode;
#[cfg(feature = "smtp")]
pub use smtp::{SmtpLimits, SmtpTransport, SmtpUrlError};
pub use transport::{FileTransport, SendError, Transport};
pub use worker::OutboxSettings;
