//! Redemption: which directory object a proven identity is, and what turns a pending guest into an accepted one.

use jiff::Timestamp;

use super::{
    tenant::TenantPolicy,
    user::{ExternalUserState, User, UserType, VerifiedIdentity},
};
use crate::error::Code;

/// Which user the person with `identity` is.
///
/// `by_identity` is the user bound to the identity, `by_address` the one that holds its *verified* address; callers look
/// up the latter with [`VerifiedIdentity::email`] only, never with a claimed address. After redemption only the identity
/// counts: an address that two people hold one after the other opens nothing (nOAuth, checklist L-01).
///
/// # Errors
/// [`Code::EmailUnverified`], [`Code::InvitationLinkNeeded`], [`Code::NotInvited`] or [`Code::BoundToAnotherIdentity`].
pub fn recognise<'a>(
    identity: &VerifiedIdentity,
    by_identity: Option<&'a User>,
    by_address: Option<&'a User>,
) -> Result<&'a User, Code> {
    if let Some(user) = by_identity.filter(|user| user.identity() == Some(&identity.identity)) {
        return Ok(user);
    }
    let Some(email) = &identity.email else {
        return Err(if identity.claimed_email.is_some() { Code::EmailUnverified } else { Code::InvitationLinkNeeded });
    };
    match by_address.filter(|user| user.holds(email.address())) {
        Some(user) if user.is_pending() => Ok(user),
        Some(user) if user.user_type == UserType::Guest => Err(Code::BoundToAnotherIdentity),
        _ => Err(Code::NotInvited),
    }
}

/// Whether a user may go on at all: not blocked, and from a domain that the tenant (still) accepts. The list of domains
/// does not touch guests who have already been accepted.
///
/// # Errors
/// [`Code::AccountBlocked`] or [`Code::DomainNotAllowed`].
pub fn admit(user: &User, identity: Option<&VerifiedIdentity>, policy: &TenantPolicy) -> Result<(), Code> {
    if !user.account_enabled {
        return Err(Code::AccountBlocked);
    }
    let email = identity.and_then(|identity| identity.email.as_ref());
    if user.is_pending() && email.is_some_and(|email| !policy.guest_domains.permits(&email.address().domain())) {
        return Err(Code::DomainNotAllowed);
    }
    Ok(())
}

/// The user after redemption by `identity`, who accepted the review of permissions at `permissions_accepted`.
///
/// Doing it twice with the same identity gives the same user; with another identity it is refused, also when a lost
/// marker made the guest look pending to the caller: the caller commits against the version it read.
///
/// # Errors
/// [`Code::NotInvited`] for somebody who never was, [`Code::BoundToAnotherIdentity`], [`Code::AccountBlocked`].
pub fn redeem(
    mut user: User,
    identity: &VerifiedIdentity,
    permissions_accepted: Timestamp,
    now: Timestamp,
) -> Result<User, Code> {
    if !user.account_enabled {
        return Err(Code::AccountBlocked);
    }
    let since = match &user.external {
        None => return Err(Code::NotInvited),
        Some(ExternalUserState::Accepted { identity: bound, .. }) if *bound != identity.identity => {
            return Err(Code::BoundToAnotherIdentity);
        }
        Some(ExternalUserState::Accepted { since, .. }) => *since,
        Some(ExternalUserState::PendingAcceptance { .. }) => now,
    };
    user.external = Some(ExternalUserState::Accepted {
        since,
        identity: identity.identity.clone(),
        source: identity.source,
        permissions_accepted,
    });
    Ok(user)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::{
        UserId, VerifiedEmail,
        tenant::IdentitySource,
        user::{Identity, Profile},
    };

    pub(crate) fn guest(mail: &str, bound: Option<&str>) -> User {
        let external = match bound {
            None => ExternalUserState::PendingAcceptance { since: Timestamp::UNIX_EPOCH },
            Some(subject) => ExternalUserState::Accepted {
                since: Timestamp::UNIX_EPOCH,
                identity: Identity { issuer: "https://home.example".into(), subject: subject.into() },
                source: IdentitySource::HomeOrganisation,
                permissions_accepted: Timestamp::UNIX_EPOCH,
            },
        };
        User {
            id: UserId(uuid::Uuid::from_u128(7)),
            user_type: UserType::Guest,
            display_name: "Sam".into(),
            mail: Some(mail.parse().unwrap()),
            other_mails: Vec::new(),
            preferred_language: None,
            account_enabled: true,
            external: Some(external),
            sessions_valid_from: Timestamp::UNIX_EPOCH,
            created: Timestamp::UNIX_EPOCH,
            principal_name: String::new(),
            profile: Profile::default(),
            sponsors: Vec::new(),
            invitation: None,
            guest_inviter: false,
        }
    }

    pub(crate) fn proven(subject: &str, email: &str, verified: bool, bound: bool) -> VerifiedIdentity {
        let address: crate::domain::EmailAddress = email.parse().unwrap();
        let trusted = if bound { vec![address.domain()] } else { Vec::new() };
        VerifiedIdentity {
            identity: Identity { issuer: "https://home.example".into(), subject: subject.into() },
            source: IdentitySource::HomeOrganisation,
            email: VerifiedEmail::vouched_for(address, verified, &trusted),
            claimed_email: Some(email.into()),
            name: None,
            auth_time: Timestamp::UNIX_EPOCH,
            amr: Vec::new(),
        }
    }

    /// L-01: an address that an upstream merely asserts matches nothing, and a bound guest is found by identity only.
    #[test]
    fn l_01_the_key_is_the_identity() {
        let victim = guest("sam@home.example", Some("sam"));
        let attacker = proven("mallory", "sam@home.example", true, true);
        assert_eq!(recognise(&attacker, None, Some(&victim)), Err(Code::BoundToAnotherIdentity));
        let renamed = proven("sam", "other@home.example", false, false);
        assert_eq!(recognise(&renamed, Some(&victim), None).unwrap().id, victim.id);
    }

    /// L-02: verified × domain bound to that upstream × existing object.
    #[test]
    fn l_02_the_address_counts_only_when_verified_and_bound() {
        let pending = guest("sam@home.example", None);
        for (verified, bound) in [(false, false), (false, true), (true, false), (true, true)] {
            let identity = proven("sam", "sam@home.example", verified, bound);
            let expected_known = if verified && bound { Ok(&pending) } else { Err(Code::EmailUnverified) };
            let expected_unknown = if verified && bound { Code::NotInvited } else { Code::EmailUnverified };
            assert_eq!(recognise(&identity, None, Some(&pending)), expected_known);
            assert_eq!(recognise(&identity, None, None), Err(expected_unknown));
        }
        let other = guest("someone@home.example", None);
        let identity = proven("sam", "sam@home.example", true, true);
        assert_eq!(recognise(&identity, None, Some(&other)), Err(Code::NotInvited), "a wrong index entry opens nothing");
    }

    #[test]
    fn redeeming_twice_is_the_same_and_by_another_is_refused() {
        let sam = proven("sam", "sam@home.example", true, true);
        let now = Timestamp::from_second(100).unwrap();
        let once = redeem(guest("sam@home.example", None), &sam, now, now).unwrap();
        assert_eq!(once.external_user_state(), Some("Accepted"));
        let later = Timestamp::from_second(200).unwrap();
        assert_eq!(redeem(once.clone(), &sam, now, later).unwrap(), once);
        let mallory = proven("mallory", "sam@home.example", true, true);
        assert_eq!(redeem(once, &mallory, later, later), Err(Code::BoundToAnotherIdentity));
        let mut blocked = guest("sam@home.example", None);
        blocked.account_enabled = false;
        assert_eq!(redeem(blocked, &sam, now, now), Err(Code::AccountBlocked));
    }
}
