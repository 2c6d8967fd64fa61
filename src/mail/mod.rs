//! Mail: what it says, how it waits, how it leaves.
//!
//! A mail is rendered once ([`Passcode`]; other kinds of mail get a file of their own beside `passcode.rs`), queued sealed
//! in the same commit as what it announces ([`Outbox::enqueue`]), and sent by a worker ([`Outbox::run`]) through a
//! [`Transport`]. Every rule that keeps codes and tickets out of logs, the store and header fields is kept here, once.

mod message;
mod passcode;
mod texts;

pub use message::{ComposeError, Mail, MailId, RenderedMail, Sender, one_line};
pub use passcode::Passcode;
