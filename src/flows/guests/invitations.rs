//! Invitations as records: a new one takes the place of the one before, and one can be taken back.

use jiff::{SignedDuration, Timestamp};

use super::{Act, Administration, Changes, Invite, Invited, Message, Moment, Posted, invite::Purpose};
use crate::{
    domain::{
        EmailAddress, InvitationId, UserId,
        audit::Activity,
        invitation::{Invitation, InvitationState},
        user::{ExternalUserState, User, UserType},
    },
    error::Code,
    mail::{INVITATION_TRIED, Invitation as InvitationLetter, Inviter},
    secret::Secret,
    store::{
        StoreError, Version,
        records::{self, Delivery, DeliveryState, InvitedIndex, Stored},
    },
};

/// How long an invitation is remembered that a newer one replaced: so that its link says so.
const REPLACED_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A guest's latest invitation.
pub(super) struct Latest {
    pub(super) invitation: Stored<Invitation>,
    delivery: Option<Stored<Delivery>>,
}

/// An invitation that was made, its link, and what was mailed.
pub(super) struct Issued {
    pub(super) invitation: Invitation,
    pub(super) link: Secret,
    pub(super) mail: Posted,
}

/// An invitation again, for somebody who is there.
fn again(user: UserId, expected: Option<Version>, purpose: Purpose, send: Option<Message>) -> Invite {
    Invite {
        address: None,
        user: Some(user),
        expected,
        purpose,
        display_name: None,
        user_type: UserType::Guest,
        language: None,
        redirect: None,
        send,
        sponsors: Vec::new(),
    }
}

impl Administration<'_> {
    /// Gives a guest who has not come yet a new link; the one before ends.
    ///
    /// # Errors
    /// [`Code::AlreadyAccepted`], [`Code::NotAGuest`], and those of [`invite`](Self::invite).
    pub async fn resend(&self, user: UserId, expected: Option<Version>, send: Option<Message>) -> Result<Invited, Code> {
        self.invite(&again(user, expected, Purpose::Resend, send)).await
    }

    /// Has a guest redeem once more, with another identity if they like. The id, the name in the directory, assignments and
    /// answers to agreements stay; sessions end. With `address`, one of the user's, that is the one that is invited.
    ///
    /// # Errors
    /// [`Code::AddressNotOfUser`], [`Code::NotAGuest`], and those of [`invite`](Self::invite).
    pub async fn reset_redemption(
        &self,
        user: UserId,
        expected: Option<Version>,
        address: Option<EmailAddress>,
        send: Option<Message>,
    ) -> Result<Invited, Code> {
        self.invite(&Invite { address, ..again(user, expected, Purpose::Reset, send) }).await
    }

    /// Takes back the invitation of a guest who has not come yet: its link ends, and they do not come in by a direct link
    /// either, until they are invited once more. Taking it back twice is the same.
    ///
    /// # Errors
    /// [`Code::NotAGuest`] for somebody without an invitation, [`Code::AlreadyAccepted`], [`Code::ObjectUnknown`],
    /// [`Code::VersionOutdated`], or the store's failure.
    pub async fn revoke(&self, user: UserId, expected: Option<Version>) -> Result<Invitation, Code> {
        let mut act = Act::begin(*self).await;
        loop {
            let moment = act.moment().await?;
            let mut changes = Changes::of(self.tenant());
            let stored = self.user(user, expected).await?;
            let mut guest = stored.value.clone();
            let Some(ExternalUserState::PendingAcceptance { revoked, .. }) = &mut guest.external else {
                return Err(if guest.external.is_some() { Code::AlreadyAccepted } else { Code::NotAGuest });
            };
            let was_revoked = std::mem::replace(revoked, true);
            let latest = self.latest(&guest).await?.ok_or(Code::NotAGuest)?;
            let id = latest.invitation.value.id;
            let invitation = self.take_back(&mut changes, latest, &moment);
            if !was_revoked {
                changes.put_user(self.tenant(), Some(&stored), &guest);
                changes.tell(Activity::InvitationRevoked { user, invitation: id }.to(&guest));
            }
            if act.commit(&moment, changes).await? {
                return Ok(invitation);
            }
        }
    }

    /// A user's latest invitation.
    pub(super) async fn latest(&self, user: &User) -> Result<Option<Latest>, Code> {
        let Some(id) = user.invitation else { return Ok(None) };
        let (store, tenant) = (&self.foundation.store, self.tenant());
        let invitation = store.get(&records::invitation(tenant, id)).await.map_err(StoreError::refusal)?;
        let delivery = store.get(&records::delivery(tenant, id)).await.map_err(StoreError::refusal)?;
        Ok(invitation.map(|invitation| Latest { invitation, delivery }))
    }

    /// Ends an open invitation; any other stays as it is.
    pub(super) fn take_back(&self, changes: &mut Changes, latest: Latest, moment: &Moment) -> Invitation {
        let Latest { invitation: stored, delivery } = latest;
        let mut invitation = stored.value.clone();
        if invitation.state == InvitationState::Open {
            let key = records::invitation(self.tenant(), invitation.id);
            invitation.state = InvitationState::Revoked { at: moment.now };
            changes.write(|batch| batch.unchanged(&key, Some(&stored)).put(&key, &invitation));
            if let Some(delivery) = &delivery {
                changes.write(|batch| self.outbox().withdraw(batch, self.tenant(), delivery, None));
            }
        }
        invitation
    }

    /// Has an invitation in `state` and what is known of its mail end at `expires`; with `None`, they stay.
    pub(super) fn keep(&self, changes: &mut Changes, latest: &Latest, state: InvitationState, expires: Option<Timestamp>) {
        let Latest { invitation: stored, delivery } = latest;
        let invitation = Invitation { state, ..stored.value.clone() };
        let key = records::invitation(self.tenant(), invitation.id);
        changes.write(|batch| batch.unchanged(&key, Some(stored)).put_until(&key, &invitation, expires));
        if let Some(delivery) = delivery {
            changes.write(|batch| self.outbox().withdraw(batch, self.tenant(), delivery, expires));
        }
    }

    /// Gives `user` a new invitation, which takes the place of the one before, and mails it if that is wanted.
    pub(super) async fn issue(
        &self,
        changes: &mut Changes,
        user: &mut User,
        address: Option<EmailAddress>,
        invite: &Invite,
        moment: &Moment,
    ) -> Result<Issued, Code> {
        let (tenant, entropy) = (self.tenant(), &*self.foundation.entropy);
        let latest = self.latest(user).await?;
        // Who has it sent once more invites nobody: the guest still owes it to who did.
        let before = latest.as_ref().filter(|_| invite.purpose == Purpose::Resend);
        let invited_by = before.map_or(self.actor, |latest| &latest.invitation.value.invited_by).clone();
        let ticket = Secret::random(entropy);
        let invitation = Invitation {
            id: InvitationId::random(entropy),
            user: user.id,
            redirect: self.redirect(invite, latest.as_ref())?,
            ticket: ticket.hash(),
            invited_by,
            created: moment.now,
            expires: Invitation::end(&self.view.tenant.policy, moment.now),
            state: InvitationState::Open,
            address,
        };
        if let Some(latest) = &latest {
            let before = &latest.invitation.value;
            let state = match &before.state {
                InvitationState::Revoked { at } => InvitationState::Revoked { at: *at },
                _ => InvitationState::Replaced { at: moment.now },
            };
            let until = moment.now.saturating_add(REPLACED_KEPT).unwrap_or(Timestamp::MAX);
            self.keep(changes, latest, state, Some(until));
            if let Some(address) = before.address.as_ref().filter(|address| invitation.address.as_ref() != Some(*address)) {
                changes.write(|batch| batch.delete(&records::invited(tenant, address, user.id)));
            }
        }
        let key = records::invitation(tenant, invitation.id);
        changes.write(|batch| batch.absent(&key).put(&key, &invitation));
        if let Some(address) = &invitation.address {
            let under = InvitedIndex { user: user.id };
            changes.write(|batch| batch.put(&records::invited(tenant, address, user.id), &under));
        }
        user.invitation = Some(invitation.id);
        if let Some(ExternalUserState::PendingAcceptance { revoked, .. }) = &mut user.external {
            *revoked = false;
        }
        let (id, mail) = (invitation.id, invite.send.is_some());
        let told = match invite.purpose {
            Purpose::Resend => Activity::InvitationResent { user: user.id, invitation: id, mail },
            Purpose::Invite | Purpose::Reset => Activity::Invited { user: user.id, invitation: id, mail },
        };
        changes.tell(told.to(user));
        let link = Invitation::link(&self.foundation.public_url, tenant, invitation.id, &ticket);
        let mail = match &invite.send {
            None => {
                self.count(changes, &[], moment.now).await?;
                Posted::Nothing
            }
            Some(message) => {
                let to = invitation.address.as_ref().ok_or(Code::AddressMissing)?;
                let inviter = self.user_of(&invitation.invited_by).await?;
                let inviter = inviter.as_ref().map(|user| Inviter { name: &user.display_name, mail: user.mail.as_ref() });
                let letter = InvitationLetter {
                    tenant: &self.view.tenant,
                    to,
                    guest_name: Some(&user.display_name),
                    inviter,
                    link: &link,
                    redirect: &invitation.redirect,
                    expires: invitation.expires,
                    message: message.text.as_deref(),
                    message_language: message.language.as_ref(),
                    guest_language: user.preferred_language.as_ref(),
                    public_url: &self.foundation.public_url,
                };
                self.post(changes, &letter, &invitation, (user, message), moment).await?
            }
        };
        Ok(Issued { invitation, link, mail })
    }

    /// Queues the mail, unless the guest wants no more of them, and the note to somebody else.
    async fn post(
        &self,
        changes: &mut Changes,
        letter: &InvitationLetter<'_>,
        invitation: &Invitation,
        (guest, message): (&User, &Message),
        moment: &Moment,
    ) -> Result<Posted, Code> {
        let (tenant, outbox) = (self.tenant(), self.outbox());
        let wants_none = async |address| {
            let blocked = records::invitations_blocked(tenant, address);
            self.foundation.store.get(&blocked).await.map(|blocked| blocked.is_some()).map_err(StoreError::refusal)
        };
        if wants_none(letter.to).await? {
            self.count(changes, &[], moment.now).await?;
            let state = DeliveryState::Suppressed { at: moment.now };
            let delivery = Delivery { invitation: invitation.id, attempts: 0, last_error: None, state };
            changes.write(|batch| batch.put(&records::delivery(tenant, invitation.id), &delivery));
            changes.tell(Activity::InvitationMailSuppressed { user: guest.id, invitation: invitation.id }.to(guest));
            return Ok(Posted::Suppressed);
        }
        let cc = match message.cc.as_ref().filter(|cc| *cc != letter.to) {
            Some(cc) if !wants_none(cc).await? => Some(cc),
            _ => None,
        };
        let addressees: Vec<_> = std::iter::once(letter.to).chain(cc).collect();
        self.count(changes, &addressees, moment.now).await?;
        let mail = letter.mail(self.sender).map_err(|_| Code::Internal)?;
        changes.write(|batch| outbox.enqueue_invitation(batch, tenant, &mail, invitation));
        if let Some(cc) = cc {
            let notice = letter.notice(self.sender, cc, &guest.display_name).map_err(|_| Code::Internal)?;
            let until = moment.now.saturating_add(INVITATION_TRIED).unwrap_or(Timestamp::MAX);
            changes.write(|batch| outbox.enqueue(batch, tenant, &notice, until, false));
        }
        Ok(Posted::Queued)
    }
}
