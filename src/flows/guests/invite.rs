//! Inviting: somebody new, somebody who has not come yet, somebody who shall prove once more who they are.

use super::{
    Act, Addresses, Administration, Changes, LIST_MAX, Moment, NAME_MAX, belongings, check_text,
    invitations::{Issued, Latest},
};
use crate::{
    domain::{
        EmailAddress, LanguageTag, UserId, WebUrl,
        audit::{Activity, Actor},
        invitation::{Invitation, may_lead_to},
        redemption::is_ticket_enough,
        tenant::{AllowInvitesFrom, TenantPolicy},
        user::{ExternalUserState, Profile, User, UserType},
    },
    error::Code,
    mail::MESSAGE_MAX,
    secret::Secret,
    store::{
        StoreError, Version,
        records::{self, Stored},
    },
};

/// Whom to invite, and how.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The address. Only an existing user may go without.
    pub address: Option<EmailAddress>,
    /// An existing user; without it, the address says who is meant.
    pub user: Option<UserId>,
    /// The existing user is as the caller read them.
    pub expected: Option<Version>,
    /// What it is for.
    pub purpose: Purpose,
    /// The name of somebody new; without it, what stands before the `@`.
    pub display_name: Option<String>,
    /// What somebody new is to be.
    pub user_type: UserType,
    /// The language of mails to somebody new.
    pub language: Option<LanguageTag>,
    /// Where it leads; without it, where the invitation before led, or the apps panel.
    pub redirect: Option<WebUrl>,
    /// What to mail; nothing is mailed without.
    pub send: Option<Message>,
    /// Who answers for somebody new; if nobody is named, the user who invites.
    pub sponsors: Vec<UserId>,
}

/// What an invitation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To get somebody in. Of a member, it makes one who proves somewhere else who they are. Somebody who has accepted
    /// already is left alone.
    Invite,
    /// To give somebody who has not come yet a new link.
    Resend,
    /// To have somebody prove once more who they are. What they are bound to now is forgotten; all else of them stays.
    Reset,
}

/// What an inviter adds to the mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The language of the mail.
    pub language: Option<LanguageTag>,
    /// A text, shown as it is. At most 2,000 characters.
    pub text: Option<String>,
    /// Somebody else who is told that it was sent. They get no link.
    pub cc: Option<EmailAddress>,
}

/// Who was invited, and what became of it.
#[derive(Debug)]
pub struct Invited {
    /// The user.
    pub user: User,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether somebody deleted who was blocked had this address: with the invitation they may come in again.
    pub was_blocked: bool,
}

impl Invited {
    fn completed(user: User) -> Self {
        Self { user, outcome: Outcome::Completed, was_blocked: false }
    }
}

/// What became of inviting somebody.
#[derive(Debug)]
pub enum Outcome {
    /// They can redeem.
    Open {
        /// The invitation.
        invitation: Box<Invitation>,
        /// The link that redeems it. It is told this once (checklist T-04).
        link: Secret,
        /// What was mailed.
        mail: Posted,
        /// Whether the link is all that is asked for to be somebody who was there before, with all that is theirs. Then it is for
        /// those only who may change users.
        opens: bool,
    },
    /// Nothing was changed, nothing is sent: they have accepted already (b2b-facts section 4), or are expected by an invitation
    /// of somebody else's, which a person cannot take over.
    Completed,
}

/// What was mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// Nothing: nobody asked for it.
    Nothing,
    /// The mail waits to be sent.
    Queued,
    /// Nothing: the guest wants no more of them.
    Suppressed,
}

/// Whether somebody may invite under a tenant's policy: `user` is who acts, where that is a user of the tenant.
///
/// # Errors
/// [`Code::InvitingOff`] or [`Code::NotPermitted`].
pub fn may_invite(policy: &TenantPolicy, actor: &Actor, user: Option<&User>) -> Result<(), Code> {
    if matches!(actor, Actor::Operator | Actor::Server) {
        return Ok(());
    }
    if policy.allow_invites_from == AllowInvitesFrom::None {
        return Err(Code::InvitingOff);
    }
    if matches!(actor, Actor::App(_)) {
        return Ok(());
    }
    let user = user.filter(|user| user.account_enabled && !user.is_pending()).ok_or(Code::NotPermitted)?;
    let needed = match user.user_type {
        _ if user.guest_inviter => AllowInvitesFrom::AdminsAndGuestInviters,
        UserType::Member => AllowInvitesFrom::AdminsGuestInvitersAndAllMembers,
        UserType::Guest => AllowInvitesFrom::Everyone,
    };
    if policy.allow_invites_from >= needed { Ok(()) } else { Err(Code::NotPermitted) }
}

/// Whom an invitation is for.
enum Whom {
    New(EmailAddress),
    Existing(Box<Stored<User>>, Option<EmailAddress>),
}

impl Administration<'_> {
    /// Invites somebody: makes a guest, or gives one who has not come yet a new link, which ends the one before.
    ///
    /// # Errors
    /// [`Code::NotPermitted`], [`Code::InvitingOff`], [`Code::RedirectNotAllowed`], [`Code::OwnDomain`],
    /// [`Code::InviteesDomainRefused`], [`Code::InviteeBlocked`], [`Code::InviteeBarred`], [`Code::InviteeRevoked`] for a person
    /// who invites, [`Code::AddressMissing`], [`Code::AddressNotOfUser`], [`Code::NotAGuest`], [`Code::AlreadyAccepted`],
    /// [`Code::ObjectUnknown`], [`Code::SponsorUnknown`], [`Code::PropertyInvalid`], [`Code::VersionOutdated`],
    /// [`Code::TooManyMails`]; or the store's failure. Then nothing has changed.
    pub async fn invite(&self, invite: &Invite) -> Result<Invited, Code> {
        self.check(invite)?;
        let mut act = Act::begin(*self).await;
        loop {
            let moment = act.moment().await?;
            let (changes, invited) = self.invited(invite, &moment).await?;
            if act.commit(&moment, changes).await? {
                return Ok(invited);
            }
        }
    }

    /// What can be said before anything is read.
    fn check(&self, invite: &Invite) -> Result<(), Code> {
        if let Some(name) = &invite.display_name {
            check_text(name, NAME_MAX)?;
        }
        let text = invite.send.as_ref().and_then(|message| message.text.as_ref());
        if text.is_some_and(|text| text.chars().count() > MESSAGE_MAX) || invite.sponsors.len() > LIST_MAX {
            return Err(Code::PropertyInvalid);
        }
        let administers = !matches!(self.actor, Actor::User(_));
        if !administers && (invite.user_type == UserType::Member || invite.purpose == Purpose::Reset) {
            return Err(Code::NotPermitted);
        }
        if invite.redirect.as_ref().is_some_and(|url| !self.may_lead_to(url)) {
            return Err(Code::RedirectNotAllowed);
        }
        Ok(())
    }

    fn may_lead_to(&self, url: &WebUrl) -> bool {
        may_lead_to(url, self.view.apps.values(), &self.view.tenant.policy)
    }

    async fn invited(&self, invite: &Invite, moment: &Moment) -> Result<(Changes, Invited), Code> {
        let by_person = matches!(self.actor, Actor::User(_));
        let acting = self.user_of(self.actor).await?;
        may_invite(&self.view.tenant.policy, self.actor, acting.as_ref())?;
        self.check_sponsors(&invite.sponsors).await?;
        let mut addresses = Addresses::of(self.tenant());
        let mut changes = Changes::of(self.tenant());
        let (before, mut user, address) = match self.whom(invite, &mut addresses).await? {
            Whom::New(address) => {
                let held = addresses.holder(&self.foundation.store, &address).await.map_err(StoreError::refusal)?.is_some();
                let user = self.new_user(invite, &address, held, moment);
                let tombstone = records::tombstone(self.tenant(), user.id);
                changes.write(|batch| batch.absent(&tombstone));
                changes.tell(Activity::UserAdded { user: user.id }.to(&user));
                (None, user, Some(address))
            }
            Whom::Existing(stored, address) => {
                let mut user = stored.value.clone();
                if !user.account_enabled {
                    return Err(Code::InviteeBlocked);
                }
                match (&user.external, invite.purpose) {
                    (Some(ExternalUserState::PendingAcceptance { .. }), _) if !self.may_invite_again(&user).await? => {
                        return Ok((changes, Invited::completed(user)));
                    }
                    (Some(ExternalUserState::PendingAcceptance { revoked: true, .. }), _) if by_person => {
                        return Err(Code::InviteeRevoked);
                    }
                    (Some(ExternalUserState::PendingAcceptance { .. }), _) => {}
                    (Some(ExternalUserState::Accepted { .. }), Purpose::Invite) => {
                        return Ok((changes, Invited::completed(user)));
                    }
                    (Some(ExternalUserState::Accepted { .. }), Purpose::Resend) => return Err(Code::AlreadyAccepted),
                    (None, Purpose::Resend | Purpose::Reset) => return Err(Code::NotAGuest),
                    (None, Purpose::Invite) | (Some(ExternalUserState::Accepted { .. }), Purpose::Reset) => {
                        self.unbind(&mut changes, &mut user, moment).await?;
                    }
                }
                (Some(*stored), user, address)
            }
        };
        let mut was_blocked = false;
        if let Some(address) = &address {
            self.admits(address)?;
            if invite.purpose != Purpose::Resend {
                was_blocked = self.check_bar(address).await?;
            }
        }
        if before.is_some() {
            // The invited address is the one that people see (b2b-facts section 5.3), where it leads to the user.
            self.move_to_front(&mut user, address.as_ref(), &mut addresses).await?;
        }
        let issued = self.issue(&mut changes, &mut user, address, invite, moment).await?;
        changes.put_user(self.tenant(), before.as_ref(), &user);
        let before = before.as_ref().map(|before| &before.value);
        let reindexed = addresses.reindex(&self.foundation.store, before, Some(&user)).await.map_err(StoreError::refusal)?;
        changes.write(|batch| reindexed.write(batch, self.tenant()));
        let Issued { invitation, link, mail } = issued;
        let opens = before.is_some() && is_ticket_enough(&user, &invitation, &self.view.tenant.policy);
        let outcome = Outcome::Open { invitation: Box::new(invitation), link, mail, opens };
        Ok((changes, Invited { user, outcome, was_blocked }))
    }

    /// The user that an actor is; `None` where it is none, or they are gone.
    pub(super) async fn user_of(&self, actor: &Actor) -> Result<Option<User>, Code> {
        let Actor::User(id) = actor else { return Ok(None) };
        let found = self.foundation.store.get(&records::user(self.tenant(), *id)).await.map_err(StoreError::refusal)?;
        Ok(found.map(|stored| stored.value))
    }

    /// Whether a guest who has not come yet may be given a new link by who acts: a person would hold the link of a guest whom
    /// somebody else invited, and end the one that they have.
    async fn may_invite_again(&self, guest: &User) -> Result<bool, Code> {
        if !matches!(self.actor, Actor::User(_)) {
            return Ok(true);
        }
        let latest = self.latest(guest).await?;
        Ok(latest.is_some_and(|latest| latest.invitation.value.invited_by == *self.actor))
    }

    /// Every sponsor is a user of the tenant.
    pub(super) async fn check_sponsors(&self, sponsors: &[UserId]) -> Result<(), Code> {
        let keys: Vec<_> = sponsors.iter().map(|id| records::user(self.tenant(), *id)).collect();
        let found = self.foundation.store.get_all(&keys).await.map_err(StoreError::refusal)?;
        if found.iter().all(Option::is_some) { Ok(()) } else { Err(Code::SponsorUnknown) }
    }

    /// Whether somebody with this address can be a guest here.
    fn admits(&self, address: &EmailAddress) -> Result<(), Code> {
        if self.view.tenant.vouches_for(address) {
            return Err(Code::OwnDomain);
        }
        let permitted = self.view.tenant.policy.guest_domains.permits(&address.domain());
        if permitted { Ok(()) } else { Err(Code::InviteesDomainRefused) }
    }

    /// The user with the id; or whoever was invited under the address, if only they could not have it for themselves.
    async fn whom(&self, invite: &Invite, addresses: &mut Addresses) -> Result<Whom, Code> {
        if let Some(id) = invite.user {
            if matches!(self.actor, Actor::User(_)) {
                return Err(Code::NotPermitted);
            }
            let stored = self.user(id, invite.expected).await?;
            let address = match &invite.address {
                Some(address) if !stored.value.holds(address) => return Err(Code::AddressNotOfUser),
                Some(address) => Some(address.clone()),
                None => stored.value.addresses().next().cloned(),
            };
            return Ok(Whom::Existing(Box::new(stored), address));
        }
        let address = invite.address.clone().ok_or(Code::AddressMissing)?;
        let (store, tenant) = (&self.foundation.store, self.tenant());
        let holder = addresses.holder(store, &address).await.map_err(StoreError::refusal)?;
        let invited = store.list(&records::all_invited(tenant, &address)).await.map_err(StoreError::refusal)?;
        let ids = holder.into_iter().chain(invited.into_iter().map(|invited| invited.value.user));
        let keys: Vec<_> = ids.map(|id| records::user(tenant, id)).collect();
        let found = store.get_all(&keys).await.map_err(StoreError::refusal)?.into_iter().flatten();
        // Somebody who is yet to come first: the person may have been invited a second time under the address.
        let guests = found.filter(|user| user.value.external.is_some() && user.value.holds(&address));
        match (guests.min_by_key(|user| !user.value.is_pending()), invite.purpose) {
            (Some(guest), _) => Ok(Whom::Existing(Box::new(guest), Some(address))),
            (None, Purpose::Invite) => Ok(Whom::New(address)),
            (None, Purpose::Resend | Purpose::Reset) => Err(Code::ObjectUnknown),
        }
    }

    fn new_user(&self, invite: &Invite, address: &EmailAddress, held: bool, moment: &Moment) -> User {
        let id = UserId::random(&*self.foundation.entropy);
        let mail = (!held).then(|| address.clone());
        let local = || address.as_str().split('@').next().unwrap_or_default().to_owned();
        let initial = self.view.tenant.initial_domain();
        // Members who come from elsewhere are called as guests are: their address is not the tenant's.
        let name = initial.map(|domain| User::principal_name_of(id, UserType::Guest, mail.as_ref(), domain));
        let inviter = match self.actor {
            Actor::User(user) => vec![*user],
            _ => Vec::new(),
        };
        User {
            id,
            user_type: invite.user_type,
            display_name: invite.display_name.clone().unwrap_or_else(local),
            other_mails: held.then(|| address.clone()).into_iter().collect(),
            mail,
            preferred_language: invite.language.clone(),
            account_enabled: true,
            external: Some(ExternalUserState::PendingAcceptance { since: moment.now, revoked: false }),
            sessions_valid_from: moment.now,
            created: moment.now,
            principal_name: name.unwrap_or_default(),
            profile: Profile::default(),
            sponsors: if invite.sponsors.is_empty() { inviter } else { invite.sponsors.clone() },
            invitation: None,
            guest_inviter: false,
        }
    }

    /// Forgets whom the user is bound to, and what they could prove it with; their sessions end.
    async fn unbind(&self, changes: &mut Changes, user: &mut User, moment: &Moment) -> Result<(), Code> {
        let (store, tenant) = (&self.foundation.store, self.tenant());
        changes.unlink(store, tenant, user).await.map_err(StoreError::refusal)?;
        belongings::remove_credentials(store, changes, tenant, user.id).await.map_err(StoreError::refusal)?;
        user.external = Some(ExternalUserState::PendingAcceptance { since: moment.now, revoked: false });
        user.sessions_valid_from = moment.now;
        changes.cut_off(tenant, user, false, moment.now);
        changes.tell(Activity::RedemptionReset { user: user.id }.to(user));
        Ok(())
    }

    async fn move_to_front(
        &self,
        user: &mut User,
        address: Option<&EmailAddress>,
        addresses: &mut Addresses,
    ) -> Result<(), Code> {
        let Some(address) = address.filter(|address| user.mail.as_ref() != Some(*address)) else { return Ok(()) };
        let holder = addresses.holder(&self.foundation.store, address).await.map_err(StoreError::refusal)?;
        if holder == Some(user.id) {
            user.other_mails.retain(|other| other != address);
            user.other_mails.extend(user.mail.replace(address.clone()));
        }
        Ok(())
    }

    /// Where it leads: as asked for, as before, or to the apps panel.
    pub(super) fn redirect(&self, invite: &Invite, latest: Option<&Latest>) -> Result<WebUrl, Code> {
        let before = || latest.map(|latest| latest.invitation.value.redirect.clone()).filter(|url| self.may_lead_to(url));
        let panel = || format!("{}/{}", self.foundation.public_url.as_str().trim_end_matches('/'), self.tenant()).parse();
        invite.redirect.clone().or_else(before).map_or_else(panel, Ok).map_err(|_| Code::Internal)
    }
}
