//! A directory object: a guest or a member of one tenant.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EmailAddress, LanguageTag, UserId, VerifiedEmail, tenant::IdentitySource};

/// Who somebody is, wherever they come from: issuer and subject. Never an e-mail address (nOAuth, checklist L-01).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The issuer of the home organisation; for passcodes and local accounts the tenant's own.
    pub issuer: String,
    /// The subject at that issuer; for passcodes the address that was proven.
    pub subject: String,
}

/// What a person in front of us has proven, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedIdentity {
    /// Who they are.
    pub identity: Identity,
    /// How it was proven.
    pub source: IdentitySource,
    /// The address that comes with the identity, if it is verified.
    pub email: Option<VerifiedEmail>,
    /// The address that the upstream merely claimed. Shown to the person, matches nothing.
    pub claimed_email: Option<String>,
    /// The name that the upstream gave.
    pub name: Option<String>,
    /// When the person proved it, not when we learnt of it (OpenID Connect Core 2, `auth_time`).
    pub auth_time: Timestamp,
    /// How, in the words of RFC 8176 (`amr`).
    pub amr: Vec<String>,
}

/// Guest or member: the relation to the tenant, independent of how somebody signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UserType {
    /// Somebody from outside.
    Guest,
    /// Somebody of the organisation.
    Member,
}

/// The external user state, with what belongs to it. There is no third state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state")]
pub enum ExternalUserState {
    /// Added, and not yet been here.
    PendingAcceptance {
        /// Since when.
        since: Timestamp,
    },
    /// Has proven an identity and agreed.
    Accepted {
        /// Since when.
        since: Timestamp,
        /// Whom the object is bound to from then on.
        identity: Identity,
        /// How they sign in, until an administrator resets redemption.
        source: IdentitySource,
        /// When they accepted the review of permissions.
        permissions_accepted: Timestamp,
    },
}

/// A guest or a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its id in the tenant, which survives reset and restore. Never used again.
    pub id: UserId,
    /// The relation to the tenant.
    pub user_type: UserType,
    /// The name that people see. At most 256 characters.
    pub display_name: String,
    /// The invited address; absent when another object of the tenant holds it.
    pub mail: Option<EmailAddress>,
    /// Further addresses.
    #[serde(default)]
    pub other_mails: Vec<EmailAddress>,
    /// The language of mails.
    #[serde(default)]
    pub preferred_language: Option<LanguageTag>,
    /// False: blocked.
    pub account_enabled: bool,
    /// Where a guest stands; `None` for members, who were never invited.
    pub external: Option<ExternalUserState>,
    /// Sessions and refresh tokens that began earlier are void.
    pub sessions_valid_from: Timestamp,
    /// When it was made.
    pub created: Timestamp,
}

impl User {
    /// Whether `address` is the invited address or one of the others.
    #[must_use]
    pub fn holds(&self, address: &EmailAddress) -> bool {
        self.mail.as_ref() == Some(address) || self.other_mails.contains(address)
    }

    /// The identity that the object is bound to.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        match &self.external {
            Some(ExternalUserState::Accepted { identity, .. }) => Some(identity),
            _ => None,
        }
    }

    /// Whether this is a guest who has not redeemed yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.external, Some(ExternalUserState::PendingAcceptance { .. }))
    }

    /// How they sign in: the `source` column of the directory.
    #[must_use]
    pub fn source(&self) -> &'static str {
        match &self.external {
            None => "This organisation",
            Some(ExternalUserState::PendingAcceptance { .. }) => "Invited user",
            Some(ExternalUserState::Accepted { source, .. }) => source.label(),
        }
    }

    /// The `externalUserState` of the directory API.
    #[must_use]
    pub fn external_user_state(&self) -> Option<&'static str> {
        self.external.as_ref().map(|state| match state {
            ExternalUserState::PendingAcceptance { .. } => "PendingAcceptance",
            ExternalUserState::Accepted { .. } => "Accepted",
        })
    }
}
