//! What happened, who did it to whom: events that are written in the same commit as their effect, chained by hash.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AgreementId, AppId, Domain, EmailAddress, InvitationId, TenantId, UserId, user::User};

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// A user, about themselves or others.
    User(UserId),
    /// An app with its own permissions.
    App(AppId),
    /// The operator, from the command line.
    Operator,
    /// The server by itself, on a timer.
    Server,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "activity")]
pub enum Activity {
    /// The tenant, or something of its configuration, was made or changed.
    Configured {
        /// What, in words: `tenant`, `app Expenses`, …
        what: String,
    },
    /// A guest or member was added.
    UserAdded {
        /// Whom.
        user: UserId,
    },
    /// A guest or member was blocked: all sessions ended.
    UserBlocked {
        /// Whom.
        user: UserId,
    },
    /// A guest or member was let in again.
    UserUnblocked {
        /// Whom.
        user: UserId,
    },
    /// Properties of a guest or member were changed.
    UserChanged {
        /// Whom.
        user: UserId,
        /// What, in words.
        what: String,
    },
    /// A guest redeemed.
    Redeemed {
        /// Who.
        user: UserId,
        /// How they signed in.
        source: String,
        /// At which issuer.
        issuer: String,
        /// The address that they proved, where it was none of theirs before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alias: Option<EmailAddress>,
    },
    /// The review of permissions was accepted again.
    PermissionsAccepted {
        /// By whom.
        user: UserId,
    },
    /// Terms were accepted or declined.
    TermsAnswered {
        /// By whom.
        user: UserId,
        /// Which agreement.
        agreement: AgreementId,
        /// `accepted` or `declined`.
        answer: String,
        /// The document's name.
        document: String,
    },
    /// All sessions of a user were ended.
    SessionsRevoked {
        /// Whose.
        user: UserId,
    },
    /// A user ended one session: they signed out, or went on as somebody else.
    SignedOut {
        /// Who.
        user: UserId,
    },
    /// Signing keys were rotated.
    KeysRotated,
    /// A refresh token or code was used twice and everything it gave was revoked.
    ReuseDetected {
        /// Whose.
        user: UserId,
        /// In which app.
        app: AppId,
    },
    /// A guest was invited, or invited again: an earlier invitation has ended.
    Invited {
        /// Whom.
        user: UserId,
        /// By which invitation.
        invitation: InvitationId,
        /// Whether a mail was to be sent.
        mail: bool,
    },
    /// A guest who has not come yet was given a new link: the one before has ended.
    InvitationResent {
        /// Whose.
        user: UserId,
        /// The new one.
        invitation: InvitationId,
        /// Whether a mail was to be sent.
        mail: bool,
    },
    /// An invitation was not mailed, since the guest wants no more of them.
    InvitationMailSuppressed {
        /// Whose.
        user: UserId,
        /// Which one.
        invitation: InvitationId,
    },
    /// An invitation was taken back.
    InvitationRevoked {
        /// Whose.
        user: UserId,
        /// Which one.
        invitation: InvitationId,
    },
    /// A guest wants no more invitations by mail.
    InvitationsBlocked {
        /// Who.
        user: UserId,
    },
    /// A guest wants invitations by mail again.
    InvitationsUnblocked {
        /// Who.
        user: UserId,
    },
    /// A guest was unbound from their identity, and redeems again.
    RedemptionReset {
        /// Whose.
        user: UserId,
    },
    /// A guest or member was deleted; for 30 days they can be restored.
    UserDeleted {
        /// Whom.
        user: UserId,
    },
    /// A guest left the organisation; for 30 days they can be restored.
    UserLeft {
        /// Who.
        user: UserId,
    },
    /// A deleted user was restored.
    UserRestored {
        /// Whom.
        user: UserId,
    },
    /// A deleted user was deleted for good.
    UserDeletedPermanently {
        /// Whom.
        user: UserId,
    },
    /// A user was assigned to an app.
    AppAssigned {
        /// Whom.
        user: UserId,
        /// To which one.
        app: AppId,
    },
    /// An assignment to an app was taken back.
    AppUnassigned {
        /// Whose.
        user: UserId,
        /// To which one.
        app: AppId,
    },
    /// A guest set up an account that lives in the tenant, or, having lost it, did so again.
    AccountSetUp {
        /// Who.
        user: UserId,
        /// `passkey` or `password`.
        with: String,
        /// Whether there was one before.
        recovered: bool,
    },
    /// A domain was verified by its DNS record.
    DomainVerified {
        /// Which.
        domain: Domain,
    },
    /// The DNS record of a verified domain stayed away: the domain is no longer verified.
    DomainUnverified {
        /// Which.
        domain: Domain,
    },
}

/// What somebody was called when it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Called {
    /// The name that people saw.
    pub display_name: String,
    /// The name in the directory.
    pub principal_name: String,
}

/// What happened, and what the user was called to whom it did, where whoever tells of it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What happened.
    pub activity: Activity,
    /// What they were called.
    pub called: Option<Called>,
}

impl From<Activity> for Told {
    fn from(activity: Activity) -> Self {
        Self { activity, called: None }
    }
}

impl Activity {
    /// The same, that happened to `user`.
    #[must_use]
    pub fn to(self, user: &User) -> Told {
        let called = Called { display_name: user.display_name.clone(), principal_name: user.principal_name.clone() };
        Told { activity: self, called: Some(called) }
    }
}

/// One entry of a tenant's audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts up from 1 within the tenant, without gaps.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub activity: Activity,
    /// What the user was called whom it was done to, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<Called>,
    /// The hash of the entry before, hexadecimal; zeros for the first.
    pub previous: String,
}

/// The end of a tenant's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last entry's number; 0 when there is none.
    pub sequence: u64,
    /// The last entry's hash.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { sequence: 0, hash: "0".repeat(64) }
    }
}

impl Head {
    /// The next entry, and the chain's end after it.
    #[must_use]
    pub fn append(&self, tenant: TenantId, at: Timestamp, actor: Actor, told: impl Into<Told>) -> (Event, Self) {
        let Told { activity, called } = told.into();
        let event = Event { sequence: self.sequence + 1, at, actor, activity, called, previous: self.hash.clone() };
        let head = event.head(tenant);
        (event, head)
    }
}

impl Event {
    /// SHA-256 over the tenant and the entry, which holds the hash of the one before: nothing can be changed, dropped or
    /// put in between without breaking every later hash.
    #[must_use]
    pub fn hash(&self, tenant: TenantId) -> String {
        let json = serde_json::to_vec(self).expect("events are plain data");
        super::terms::DocumentId::of(&[tenant.as_bytes().as_slice(), &json].concat()).to_string()
    }

    /// Checks a whole chain in order; the number of the first entry that does not fit, if any.
    #[must_use]
    pub fn first_break<'a>(tenant: TenantId, events: impl IntoIterator<Item = &'a Self>) -> Option<u64> {
        let mut head = Head::default();
        for event in events {
            if !event.follows(&head) {
                return Some(event.sequence);
            }
            head = event.head(tenant);
        }
        None
    }

    /// Whether this is the entry after `head`.
    #[must_use]
    pub fn follows(&self, head: &Head) -> bool {
        self.sequence == head.sequence + 1 && self.previous == head.hash
    }

    /// The end of a chain that ends with this entry.
    #[must_use]
    pub fn head(&self, tenant: TenantId) -> Head {
        Head { sequence: self.sequence, hash: self.hash(tenant) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_dropped_or_swapped_entry_breaks_the_chain() {
        let tenant = TenantId(uuid::Uuid::nil());
        let mut head = Head::default();
        let mut events = Vec::new();
        for n in 0..5 {
            let (event, next) = head.append(tenant, Timestamp::from_second(n).unwrap(), Actor::Operator, Activity::KeysRotated);
            events.push(event);
            head = next;
        }
        assert_eq!(Event::first_break(tenant, &events), None);
        let mut changed = events.clone();
        changed[2].at = Timestamp::UNIX_EPOCH;
        assert_eq!(Event::first_break(tenant, &changed), Some(4));
        let mut dropped = events.clone();
        dropped.remove(1);
        assert_eq!(Event::first_break(tenant, &dropped), Some(3));
        assert_eq!(Event::first_break(TenantId(uuid::Uuid::max()), &events), Some(2), "a chain belongs to its tenant");
    }
}
