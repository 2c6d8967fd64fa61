//! Who is recognised, who may redeem, and as what.

use super::*;
use crate::domain::{
    InvitationId, UserId, VerifiedEmail,
    invitation::InvitationState,
    user::{Identity, Profile},
};

pub(crate) fn guest(mail: &str, bound: Option<&str>) -> User {
    let external = match bound {
        None => ExternalUserState::PendingAcceptance { since: Timestamp::UNIX_EPOCH, revoked: false },
        Some(subject) => ExternalUserState::Accepted {
            since: Timestamp::UNIX_EPOCH,
            identity: Identity { issuer: "https://home.example".into(), subject: subject.into() },
            source: IdentitySource::HomeOrganisation,
            permissions_accepted: Timestamp::UNIX_EPOCH,
            mailbox: None,
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
