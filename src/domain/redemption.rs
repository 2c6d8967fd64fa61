//! Redemption: which directory object a proven identity is, and what turns a pending guest into an accepted one.

use jiff::Timestamp;

use super::{
    EmailAddress, VerifiedEmail,
    invitation::{Invitation, InvitationState},
    tenant::{AliasRedemption, IdentitySource, TenantPolicy},
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

/// Which user the person with `identity` is, who has opened the invitation of `invited`: that one, or nobody. `by_identity` is
/// the user bound to the identity, if there is one.
///
/// That somebody may go on as a guest who is yet to come does not mean that they may redeem: [`claim`] decides that.
///
/// # Errors
/// [`Code::AlreadyGuest`] for somebody who is another user of the tenant, [`Code::InvitationUsed`] when somebody else has
/// redeemed it, [`Code::NotInvited`].
pub fn recognise_invited<'a>(
    identity: &VerifiedIdentity,
    by_identity: Option<&User>,
    invited: &'a User,
) -> Result<&'a User, Code> {
    if invited.identity() == Some(&identity.identity) {
        return Ok(invited);
    }
    if by_identity.is_some_and(|user| user.id != invited.id && is_of(user, identity)) {
        return Err(Code::AlreadyGuest);
    }
    match &invited.external {
        Some(ExternalUserState::PendingAcceptance { .. }) => Ok(invited),
        Some(ExternalUserState::Accepted { .. }) => Err(Code::InvitationUsed),
        None => Err(Code::NotInvited),
    }
}

/// Whether `identity` is how `user` signs in: bound to it, or, for an account that lives in the tenant, named by it.
fn is_of(user: &User, identity: &VerifiedIdentity) -> bool {
    user.identity() == Some(&identity.identity)
        || (identity.source == IdentitySource::LocalAccount && identity.identity.subject == user.id.to_string())
}

/// Why somebody cannot redeem as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection<'a> {
    /// They have to show that this mailbox is theirs, too.
    Mailbox(&'a EmailAddress),
    /// They cannot.
    Refusal(Code),
}

/// Whether the person with `identity` may redeem for `user`, who is yet to come. `invitation` is the one whose link was
/// opened, if it was one; `mailbox` what was proven beside the identity.
///
/// An identity whose verified address is one of the guest's may, also without any link. With another one the ticket speaks
/// for its holder, as far as the tenant lets it: see [`AliasRedemption`]. Only where the guest has no address at all, which
/// could be compared or mailed to, the ticket is enough.
///
/// # Errors
/// What is missing, or why it cannot be.
pub fn claim<'a>(
    identity: &VerifiedIdentity,
    user: &'a User,
    invitation: Option<&'a Invitation>,
    mailbox: Option<&VerifiedEmail>,
    policy: &TenantPolicy,
) -> Result<(), Objection<'a>> {
    let address = identity.email.as_ref().map(VerifiedEmail::address);
    if address.is_some_and(|address| user.holds(address)) {
        return Ok(());
    }
    let invitation = invitation.ok_or(Objection::Refusal(Code::InvitationLinkNeeded))?;
    if invitation.user != user.id || user.invitation != Some(invitation.id) || invitation.state != InvitationState::Open {
        // Of a guest who has to redeem once more; only the newest link speaks for them.
        return Err(Objection::Refusal(Code::InvitationReplaced));
    }
    let Some(invited) = invited_address(user, invitation) else { return Ok(()) };
    if address == Some(invited) {
        return Ok(());
    }
    match policy.alias_redemption {
        AliasRedemption::Link => Ok(()),
        AliasRedemption::Deny => Err(Objection::Refusal(Code::InvitedAsAnother)),
        AliasRedemption::Passcode if mailbox.is_some_and(|mailbox| mailbox.address() == invited) => Ok(()),
        AliasRedemption::Passcode => Err(Objection::Mailbox(invited)),
    }
}

/// Whether who has opened the link of `invitation` may set up an account for `user`, who is yet to come: with proof of a
/// mailbox of the guest's; without any only where [`claim`] would be content with the ticket.
///
/// # Errors
/// What is missing, or why it cannot be.
pub fn may_set_up<'a>(
    user: &'a User,
    invitation: &'a Invitation,
    mailbox: Option<&VerifiedEmail>,
    policy: &TenantPolicy,
) -> Result<(), Objection<'a>> {
    if mailbox.is_some_and(|mailbox| user.holds(mailbox.address())) {
        return Ok(());
    }
    if invitation.user != user.id || user.invitation != Some(invitation.id) || invitation.state != InvitationState::Open {
        return Err(Objection::Refusal(Code::InvitationReplaced));
    }
    let Some(invited) = invited_address(user, invitation) else { return Ok(()) };
    let proven = mailbox.is_some_and(|mailbox| mailbox.address() == invited);
    if proven || policy.alias_redemption == AliasRedemption::Link { Ok(()) } else { Err(Objection::Mailbox(invited)) }
}

/// The address that stands for an invited guest: the one the invitation went to, as long as it is theirs. Where an
/// administrator has given the guest another one since, that one.
#[must_use]
pub fn invited_address<'a>(user: &'a User, invitation: &'a Invitation) -> Option<&'a EmailAddress> {
    let sent_to = invitation.address.as_ref();
    sent_to.filter(|address| user.holds(address)).or(user.mail.as_ref()).or(user.other_mails.first()).or(sent_to)
}

/// Whether a user may go on at all: not blocked, and from a domain that the tenant (still) accepts, by the address that is
/// proven and by the one that was invited. The list of domains does not touch guests who have already been accepted.
///
/// # Errors
/// [`Code::AccountBlocked`] or [`Code::DomainNotAllowed`].
pub fn admit(
    user: &User,
    identity: Option<&VerifiedIdentity>,
    invitation: Option<&Invitation>,
    policy: &TenantPolicy,
) -> Result<(), Code> {
    if !user.account_enabled {
        return Err(Code::AccountBlocked);
    }
    let proven = identity.and_then(|identity| identity.email.as_ref()).map(VerifiedEmail::address);
    let invited = invitation.map_or(user.mail.as_ref(), |invitation| invited_address(user, invitation));
    let mut addresses = proven.into_iter().chain(invited);
    if user.is_pending() && addresses.any(|address| !policy.guest_domains.permits(&address.domain())) {
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
        InvitationId, UserId, VerifiedEmail,
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

    pub(crate) fn invitation(user: &User, address: Option<&str>) -> Invitation {
        Invitation {
            id: InvitationId(uuid::Uuid::from_u128(11)),
            user: user.id,
            address: address.map(|address| address.parse().unwrap()),
            redirect: "https://expenses.contoso.example/".parse().unwrap(),
            ticket: crate::secret::SecretHash::of(b"ticket"),
            invited_by: crate::domain::audit::Actor::Operator,
            created: Timestamp::UNIX_EPOCH,
            expires: None,
            state: InvitationState::Open,
        }
    }

    /// L-07: every account that somebody may come with, under every policy, with and without the invited mailbox.
    #[test]
    fn l_07_which_account_may_redeem() {
        let mut user = guest("sam@home.example", None);
        user.other_mails.push("samuel@home.example".parse().unwrap());
        let invitation = invitation(&user, Some("sam@home.example"));
        user.invitation = Some(invitation.id);
        let mailbox = |address: &str| VerifiedEmail::proven_by_passcode(address.parse().unwrap());
        let (invited, other) = (mailbox("sam@home.example"), mailbox("eve@home.example"));
        let owed = Objection::Mailbox(user.mail.as_ref().unwrap());
        for (email, verified, bound, same) in [
            ("sam@home.example", true, true, true),
            ("Sam@Home.Example", true, true, true),
            ("samuel@home.example", true, true, true),
            ("sam+x@home.example", true, true, false),
            ("s.am@home.example", true, true, false),
            ("eve@home.example", true, true, false),
            ("sam@other.example", true, true, false),
            ("sam@home.example", true, false, false),
            ("sam@home.example", false, true, false),
        ] {
            let identity = proven("sub", email, verified, bound);
            for alias in [AliasRedemption::Passcode, AliasRedemption::Link, AliasRedemption::Deny] {
                let policy = TenantPolicy { alias_redemption: alias, ..TenantPolicy::default() };
                let with = |mailbox| claim(&identity, &user, Some(&invitation), mailbox, &policy);
                let expected = |proven| match alias {
                    _ if same => Ok(()),
                    AliasRedemption::Link => Ok(()),
                    AliasRedemption::Deny => Err(Objection::Refusal(Code::InvitedAsAnother)),
                    AliasRedemption::Passcode if proven => Ok(()),
                    AliasRedemption::Passcode => Err(owed),
                };
                assert_eq!(with(None), expected(false), "{email} {alias:?}");
                assert_eq!(with(Some(&other)), expected(false), "{email} {alias:?}");
                assert_eq!(with(Some(&invited)), expected(true), "{email} {alias:?}");
                // Without the link no mailbox helps.
                let direct = claim(&identity, &user, None, Some(&invited), &policy);
                let needed = Err(Objection::Refusal(Code::InvitationLinkNeeded));
                assert_eq!(direct, if same { Ok(()) } else { needed }, "{email} {alias:?}");
            }
        }
    }

    /// Only the newest link that is open speaks for its holder; where no address is known, it is enough.
    #[test]
    fn the_ticket_speaks_while_it_is_the_newest() {
        let policy = TenantPolicy::default();
        let stranger = proven("sub", "any@where.example", true, true);
        let mut user = guest("sam@home.example", None);
        user.mail = None;
        let open = invitation(&user, None);
        let claimed = |user: &User, invitation: &Invitation| claim(&stranger, user, Some(invitation), None, &policy).is_ok();
        assert!(!claimed(&user, &open), "not the guest's invitation");
        user.invitation = Some(open.id);
        assert!(claimed(&user, &open));
        let redeemed = InvitationState::Redeemed { at: Timestamp::UNIX_EPOCH, identity: stranger.identity.clone() };
        let (at, others) = (Timestamp::UNIX_EPOCH, User { id: UserId(uuid::Uuid::from_u128(8)), ..user.clone() });
        for ended in [redeemed, InvitationState::Replaced { at }, InvitationState::Revoked { at }] {
            assert!(!claimed(&user, &Invitation { state: ended, ..open.clone() }));
        }
        assert!(!claimed(&others, &open));
        // An address that the guest was given since is the one to be proven, not the one that the invitation went to.
        user.other_mails.push("new@home.example".parse().unwrap());
        let sent = invitation(&user, Some("old@home.example"));
        let owed = claim(&stranger, &user, Some(&sent), None, &policy);
        assert_eq!(owed, Err(Objection::Mailbox(&user.other_mails[0])));
    }

    #[test]
    fn whoever_opens_an_invitation_is_its_guest_or_nobody() {
        let sam = proven("sam", "sam@home.example", true, true);
        let pending = guest("sam@home.example", None);
        let mine = guest("sam@home.example", Some("sam"));
        let taken = guest("sam@home.example", Some("eve"));
        let other = User { id: UserId(uuid::Uuid::from_u128(8)), ..guest("x@home.example", Some("sam")) };
        assert_eq!(recognise_invited(&sam, None, &pending), Ok(&pending));
        assert_eq!(recognise_invited(&sam, Some(&mine), &mine), Ok(&mine));
        assert_eq!(recognise_invited(&sam, None, &taken), Err(Code::InvitationUsed));
        for invited in [&pending, &taken] {
            assert_eq!(recognise_invited(&sam, Some(&other), invited), Err(Code::AlreadyGuest));
        }
        let member = User { external: None, ..pending.clone() };
        assert_eq!(recognise_invited(&sam, None, &member), Err(Code::NotInvited));
        let own = VerifiedIdentity {
            identity: Identity { issuer: "https://contoso.example".into(), subject: member.id.to_string() },
            source: IdentitySource::LocalAccount,
            ..sam
        };
        let invited = User { id: UserId(uuid::Uuid::from_u128(9)), ..pending };
        assert_eq!(recognise_invited(&own, Some(&member), &invited), Err(Code::AlreadyGuest), "one of the organisation");
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
