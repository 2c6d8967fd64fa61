//! Redemption: which directory object a proven identity is, and what turns a pending guest into an accepted one.

use jiff::Timestamp;

use super::{
    EmailAddress, VerifiedEmail,
    invitation::Invitation,
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
    if !invitation.speaks_for(user) {
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
    if !invitation.speaks_for(user) {
        return Err(Objection::Refusal(Code::InvitationReplaced));
    }
    let Some(invited) = invited_address(user, invitation) else { return Ok(()) };
    let proven = mailbox.is_some_and(|mailbox| mailbox.address() == invited);
    if proven || is_ticket_enough(user, invitation, policy) { Ok(()) } else { Err(Objection::Mailbox(invited)) }
}

/// Whether the ticket alone makes its holder the guest, for [`claim`] and [`may_set_up`]: no mailbox of the guest's is asked for.
#[must_use]
pub fn is_ticket_enough(user: &User, invitation: &Invitation, policy: &TenantPolicy) -> bool {
    policy.alias_redemption == AliasRedemption::Link || invited_address(user, invitation).is_none()
}

/// Whether a mailbox that was proven at `proven` still opens the account of `user`: not after the account was set up, or all
/// sessions were ended. One proof is good for one account, once.
#[must_use]
pub fn may_recover(user: &User, proven: Option<Timestamp>) -> bool {
    match &user.external {
        Some(ExternalUserState::Accepted { since, .. }) => {
            proven.is_some_and(|proven| proven >= user.sessions_valid_from.max(*since))
        }
        _ => true,
    }
}

/// The address that stands for an invited guest: the one the invitation went to, as long as it is theirs. Where an
/// administrator has given the guest another one since, that one.
#[must_use]
pub fn invited_address<'a>(user: &'a User, invitation: &'a Invitation) -> Option<&'a EmailAddress> {
    let sent_to = invitation.address.as_ref();
    sent_to.filter(|address| user.holds(address)).or(user.mail.as_ref()).or(user.other_mails.first()).or(sent_to)
}

/// Whether a user may go on at all: not blocked, not somebody whose invitation was taken back, and from a domain that the
/// tenant (still) accepts, by the address that is proven and by the one that was invited. The list of domains does not touch
/// guests who have already been accepted.
///
/// # Errors
/// [`Code::AccountBlocked`], [`Code::InvitationRevoked`] or [`Code::DomainNotAllowed`].
pub fn admit(
    user: &User,
    identity: Option<&VerifiedIdentity>,
    invitation: Option<&Invitation>,
    policy: &TenantPolicy,
) -> Result<(), Code> {
    if !user.account_enabled {
        return Err(Code::AccountBlocked);
    }
    if user.is_revoked() {
        return Err(Code::InvitationRevoked);
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
    let known = match &user.external {
        Some(ExternalUserState::Accepted { mailbox, .. }) => mailbox.clone(),
        _ => None,
    };
    let proven = identity.email.as_ref().filter(|_| identity.source == IdentitySource::LocalAccount);
    let mailbox = proven.map(|proven| proven.address().clone()).or(known);
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
        mailbox,
    });
    Ok(user)
}

#[cfg(test)]
pub(crate) mod tests;
