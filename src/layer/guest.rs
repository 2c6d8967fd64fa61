//! Who is in front of the app.

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use crate::{
    decision::Grant,
    domain::{AppId, SessionId, TenantId, UserId, user::UserType},
};

/// The person on whose behalf a request was let through. In the extensions of every request that reaches the app.
///
/// Cheap to clone. Identify people by [`id`](Self::id) (the directory object) or [`subject`](Self::subject) (the `sub` of this
/// app's tokens), never by their address.
#[derive(Clone, PartialEq, Eq)]
pub struct Guest {
    grant: Grant,
    profile: Profile,
}

/// What a guest's own organisation or the tenant's directory says of them.
///
/// Three texts in one allocation, since a profile is made anew for every request.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Profile {
    /// Subject, name and address, one after the other.
    pub(super) text: Arc<str>,
    /// Where the subject ends in `text`.
    pub(super) subject_end: u16,
    /// Where the name ends; the rest is the address.
    pub(super) name_end: u16,
    pub(super) email_verified: bool,
    pub(super) user_type: UserType,
}

impl Profile {
    /// A profile of these texts. Empty ones count as absent. `None` when they are longer than any that a provider of ours
    /// gives (64 KiB), or no subject is named.
    pub(super) fn new(subject: &str, name: &str, email: &str, email_verified: bool, user_type: UserType) -> Option<Self> {
        let subject_end = u16::try_from(subject.len()).ok().filter(|end| *end > 0)?;
        let name_end = u16::try_from(subject.len() + name.len()).ok()?;
        let text = [subject, name, email].concat().into();
        Some(Self { text, subject_end, name_end, email_verified: email_verified && !email.is_empty(), user_type })
    }

    fn texts(&self) -> Option<(&str, &str, &str)> {
        let (rest, email) = self.text.split_at_checked(self.name_end.into())?;
        let (subject, name) = rest.split_at_checked(self.subject_end.into())?;
        Some((subject, name, email))
    }

    /// Whether the parts are where they are said to be.
    pub(super) fn is_sound(&self) -> bool {
        self.texts().is_some_and(|(subject, ..)| !subject.is_empty())
    }
}

impl Guest {
    pub(super) fn new(grant: Grant, profile: Profile) -> Self {
        Self { grant, profile }
    }

    pub(super) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The organisation that shares the app.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.grant.tenant
    }

    /// The directory object of this person in the tenant (`oid`). The same in all apps of the tenant, for ever.
    #[must_use]
    pub fn id(&self) -> UserId {
        self.grant.user
    }

    /// The app that they were let into.
    #[must_use]
    pub fn app(&self) -> AppId {
        self.grant.app
    }

    /// The sign-in that they are in (`sid`).
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.grant.session
    }

    /// When they proved who they are.
    #[must_use]
    pub fn auth_time(&self) -> Timestamp {
        self.grant.auth_time
    }

    /// The `sub` of this app's tokens: another one for every app.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.profile.texts().unwrap_or_default().0
    }

    /// The name to greet them by; absent where a token did not carry it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.profile.texts().map(|(_, name, _)| name).filter(|name| !name.is_empty())
    }

    /// Their e-mail address, to write to them. Look at [`email_verified`](Self::email_verified) before believing it.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.profile.texts().map(|(.., email)| email).filter(|email| !email.is_empty())
    }

    /// Whether the address was proven to be theirs.
    #[must_use]
    pub fn email_verified(&self) -> bool {
        self.profile.email_verified
    }

    /// Guest or member of the tenant.
    #[must_use]
    pub fn user_type(&self) -> UserType {
        self.profile.user_type
    }
}

impl AsRef<Grant> for Guest {
    fn as_ref(&self) -> &Grant {
        &self.grant
    }
}

impl fmt::Debug for Guest {
    /// Ids only: names and addresses do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("tenant", &self.tenant()).field("id", &self.id()).finish_non_exhaustive()
    }
}
