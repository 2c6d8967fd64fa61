//! What becomes of the mail of an invitation.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{InvitationId, MailId};

/// What became of the mail of an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Of which one.
    pub invitation: InvitationId,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed, if it did: reply codes and our own words.
    pub last_error: Option<String>,
    /// Where it stands.
    pub state: DeliveryState,
}

/// Where the mail of an invitation stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state")]
pub enum DeliveryState {
    /// It waits to be sent, or to be tried again.
    Queued {
        /// Since when.
        since: Timestamp,
        /// Which mail waits, to be withdrawn when the invitation ends.
        mail: MailId,
    },
    /// The mail server took it.
    Sent {
        /// When.
        at: Timestamp,
    },
    /// It was given up.
    Failed {
        /// When.
        at: Timestamp,
    },
    /// It was not sent: the guest wants no invitations by mail.
    Suppressed {
        /// When.
        at: Timestamp,
    },
    /// It was not sent: the invitation ended while the mail was waiting.
    Withdrawn {
        /// When.
        at: Timestamp,
    },
}
