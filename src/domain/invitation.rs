//! An invitation: that a guest was invited, by whom, and the link that redeems it.
//!
//! The link holds a ticket of 256 bits, of which only the hash is kept. It is no proof of anybody's identity: it says which
//! guest is meant, and leads them to prove one (decision: the ticket alone never opens a session). Nothing else in the link is
//! believed. A guest has one invitation at a time; a new one ends the one before.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{EmailAddress, InvitationId, UserId, WebUrl, audit::Actor, tenant::TenantPolicy, user::Identity};
use crate::{
    error::Code,
    secret::{Secret, SecretHash},
};

/// An invitation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// Its id: `user` in the link.
    pub id: InvitationId,
    /// The guest.
    pub user: UserId,
    /// The address that was invited; none for a guest without any, whom the link reaches in another way.
    pub address: Option<EmailAddress>,
    /// Where it leads after redemption (`inviteRedirectUrl`).
    pub redirect: WebUrl,
    /// The hash of the ticket.
    pub ticket: SecretHash,
    /// Who invited.
    pub invited_by: Actor,
    /// When.
    pub created: Timestamp,
    /// When the link ends; `None`: never.
    pub expires: Option<Timestamp>,
    /// What has become of it.
    pub state: InvitationState,
}

/// What has become of an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state")]
pub enum InvitationState {
    /// Nobody has redeemed it.
    Open,
    /// It was redeemed. From then on the link leads its guest to sign in.
    Redeemed {
        /// When.
        at: Timestamp,
        /// By whom.
        identity: Identity,
    },
    /// A newer one took its place.
    Replaced {
        /// When.
        at: Timestamp,
    },
    /// It was taken back.
    Revoked {
        /// When.
        at: Timestamp,
    },
}

impl Invitation {
    /// When a link that is made at `now` ends.
    #[must_use]
    pub fn end(policy: &TenantPolicy, now: Timestamp) -> Option<Timestamp> {
        let days = i64::from(policy.invitation_days);
        (days > 0).then(|| now.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX))
    }

    /// Whether `ticket` is the one of this invitation, compared in constant time.
    #[must_use]
    pub fn is_ticket(&self, ticket: &Secret) -> bool {
        self.ticket.matches(ticket.expose())
    }

    /// Whether its link leads anywhere at `now`: to redeem it while it is open, to sign in once it was redeemed.
    ///
    /// # Errors
    /// [`Code::InvitationExpired`], [`Code::InvitationReplaced`], [`Code::InvitationRevoked`].
    pub fn admit(&self, now: Timestamp) -> Result<(), Code> {
        match &self.state {
            InvitationState::Open if self.expires.is_some_and(|end| end <= now) => Err(Code::InvitationExpired),
            InvitationState::Open | InvitationState::Redeemed { .. } => Ok(()),
            InvitationState::Replaced { .. } => Err(Code::InvitationReplaced),
            InvitationState::Revoked { .. } => Err(Code::InvitationRevoked),
        }
    }
}
