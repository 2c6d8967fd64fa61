//! A directory object: a guest or a member of one tenant.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Domain, EmailAddress, InvitationId, LanguageTag, UserId, VerifiedEmail, tenant::IdentitySource};

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

impl UserType {
    /// Its name, as in `userType` of Microsoft Graph.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Guest => "Guest",
            Self::Member => "Member",
        }
    }
}

/// The external user state, with what belongs to it. There is no third state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state")]
pub enum ExternalUserState {
    /// Added, and not yet been here.
    PendingAcceptance {
        /// Since when.
        since: Timestamp,
        /// Whether the invitation was taken back: then they do not come in, whichever link they use, until they are invited
        /// once more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        revoked: bool,
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
        /// The mailbox that was proven when an account that lives here was set up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mailbox: Option<EmailAddress>,
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
    /// The name that it has in the directory beside its id (`userPrincipalName`); see [`User::principal_name_of`]. It never
    /// changes, whatever becomes of the addresses.
    #[serde(default)]
    pub principal_name: String,
    /// What else the organisation notes about the person.
    #[serde(default)]
    pub profile: Profile,
    /// Who in the tenant answers for a guest: who invited them, unless an administrator named somebody else.
    #[serde(default)]
    pub sponsors: Vec<UserId>,
    /// A guest's latest invitation.
    #[serde(default)]
    pub invitation: Option<InvitationId>,
    /// Whether a user may invite guests where the tenant leaves that to administrators and guest inviters.
    #[serde(default)]
    pub guest_inviter: bool,
}

/// What an organisation notes about a person. Nothing here is looked at by any decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// Given name; like all that follow at most 64 characters.
    pub given_name: Option<String>,
    /// Surname.
    pub surname: Option<String>,
    /// Where they work.
    pub company_name: Option<String>,
    /// As what.
    pub job_title: Option<String>,
    /// In which department.
    pub department: Option<String>,
    /// In which office.
    pub office_location: Option<String>,
    /// Mobile phone.
    pub mobile_phone: Option<String>,
    /// Phones at work.
    pub business_phones: Vec<String>,
}

impl User {
    /// Whether `address` is the invited address or one of the others.
    #[must_use]
    pub fn holds(&self, address: &EmailAddress) -> bool {
        self.mail.as_ref() == Some(address) || self.other_mails.contains(address)
    }

    /// The invited address and the others.
    pub fn addresses(&self) -> impl Iterator<Item = &EmailAddress> {
        self.mail.iter().chain(&self.other_mails)
    }

    /// The name of a new object in the directory: a member's is the address. A guest's is the invited address with `_` for
    /// the `@`, then `#EXT#@` and the tenant's initial domain (b2b-facts section 5.3); of somebody without an address of
    /// their own it is made of the id.
    #[must_use]
    pub fn principal_name_of(id: UserId, user_type: UserType, mail: Option<&EmailAddress>, initial_domain: &Domain) -> String {
        match (user_type, mail) {
            (UserType::Member, Some(mail)) => mail.to_string(),
            (UserType::Member, None) => format!("{id}@{initial_domain}"),
            (UserType::Guest, Some(mail)) => format!("{}#EXT#@{initial_domain}", mail.as_str().replacen('@', "_", 1)),
            (UserType::Guest, None) => format!("{id}#EXT#@{initial_domain}"),
        }
    }

    /// The identity that the object is bound to.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        match &self.external {
            Some(ExternalUserState::Accepted { identity, .. }) => Some(identity),
            _ => None,
        }
    }

    /// The mailbox that was proven when their account was set up, as long as it is the invited address: that one has one holder
    /// in the tenant, while several may have one of the others.
    #[must_use]
    pub fn proven_mailbox(&self) -> Option<VerifiedEmail> {
        let Some(ExternalUserState::Accepted { mailbox: Some(mailbox), .. }) = &self.external else { return None };
        (self.mail.as_ref() == Some(mailbox)).then(|| VerifiedEmail::proven_by_passcode(mailbox.clone()))
    }

    /// Whether this is a guest who has not redeemed yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.external, Some(ExternalUserState::PendingAcceptance { .. }))
    }

    /// Whether this is such a guest, whose invitation was taken back.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        matches!(self.external, Some(ExternalUserState::PendingAcceptance { revoked: true, .. }))
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

    /// When the external user state changed last.
    #[must_use]
    pub fn external_user_state_since(&self) -> Option<Timestamp> {
        self.external.as_ref().map(|state| match state {
            ExternalUserState::PendingAcceptance { since, .. } | ExternalUserState::Accepted { since, .. } => *since,
        })
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
