//! An invitation once more, for who asks for it with nothing but an address.
//!
//! Whether somebody was invited there is told to nobody: what is counted and what is answered is the same, and what is done
//! for somebody who was is done after the answer. For others a mail to nobody is queued then, so that the next request is
//! behind as much work. The new link goes to the mailbox that was invited before, so it tells the one who asks nothing either.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;

use super::{
    Vestibule,
    directory::TenantView,
    guests::{Administration, Message},
};
use crate::{
    domain::{
        EmailAddress, InvitationId, UserId,
        audit::Actor,
        invitation::{Invitation, InvitationState},
        tenant::AllowInvitesFrom,
        user::User,
    },
    error::Code,
    i18n::Language,
    mail,
    secret::Secret,
    store::{Batch, Partition, StoreError, records},
};

/// Counts that somebody asks, and has every open invitation to `address` sent once more, each with a new link that ends the one
/// before. An address that was asked for too often gets none, which is not told either. A guest whose own language is not
/// known is written to in the `language` of the page.
///
/// # Errors
/// [`Code::TooManyCodes`] when the client, the tenant or the server has reached its limit, which says nothing about the
/// address; the store's failure.
pub async fn ask(
    vestibule: &Arc<Vestibule>,
    view: &Arc<TenantView>,
    address: &EmailAddress,
    client: IpAddr,
    language: Language,
) -> Result<(), Code> {
    if !vestibule.passcodes.may_send_invitation(view.tenant.id, address, client).await? {
        return Ok(());
    }
    let (vestibule, view, address) = (Arc::clone(vestibule), Arc::clone(view), address.clone());
    tokio::spawn(async move {
        let sent = send(&vestibule, &view, &address, language).await.unwrap_or_else(|code| {
            tracing::warn!(tenant = %view.tenant.id, %code, "an invitation was not sent again");
            false
        });
        if !sent && let Err(code) = send_to_nobody(&vestibule, &view, &address).await {
            tracing::warn!(tenant = %view.tenant.id, %code, "a mail to nobody was not queued");
        }
    });
    Ok(())
}

/// Sends what there is to send; whether there was anything.
async fn send(vestibule: &Vestibule, view: &TenantView, address: &EmailAddress, language: Language) -> Result<bool, Code> {
    let (foundation, sender) = (&vestibule.foundation, &vestibule.sender);
    let administration = Administration { foundation, view, actor: &Actor::Server, sender };
    let blocked =
        foundation.store.get(&records::invitations_blocked(view.tenant.id, address)).await.map_err(StoreError::refusal)?;
    if blocked.is_some() || view.tenant.policy.allow_invites_from == AllowInvitesFrom::None {
        // Nothing could be mailed, and the link that they have would end.
        return Ok(false);
    }
    let mut sent = false;
    let invited = foundation.store.list(&records::all_invited(view.tenant.id, address)).await.map_err(StoreError::refusal)?;
    for guest in invited {
        let guest = guest.value.user;
        if let Some(guest) = waiting(vestibule, view, guest, address).await? {
            let language = if guest.preferred_language.is_none() { language.tag().parse().ok() } else { None };
            administration.resend(guest.id, None, Some(Message { language, ..Message::default() })).await?;
            sent = true;
        }
    }
    Ok(sent)
}

/// Queues an invitation that goes to nobody, and whose link leads nowhere.
async fn send_to_nobody(vestibule: &Vestibule, view: &TenantView, address: &EmailAddress) -> Result<(), Code> {
    let (foundation, tenant, now) = (&vestibule.foundation, view.tenant.id, vestibule.foundation.now());
    let (id, ticket) = (InvitationId::random(&*foundation.entropy), Secret::random(&*foundation.entropy));
    let letter = mail::Invitation {
        tenant: &view.tenant,
        to: address,
        guest_name: None,
        inviter: None,
        link: &Invitation::link(&foundation.public_url, tenant, id, &ticket),
        redirect: &foundation.public_url,
        expires: Invitation::end(&view.tenant.policy, now),
        message: None,
        message_language: None,
        guest_language: None,
        public_url: &foundation.public_url,
    };
    let mail = letter.mail(&vestibule.sender).map_err(|_| Code::Internal)?;
    let until = now.saturating_add(mail::INVITATION_TRIED).unwrap_or(Timestamp::MAX);
    let batch = vestibule.outbox.enqueue(Batch::new(Partition::Tenant(tenant)), tenant, &mail, until, true);
    foundation.store.commit(batch).await.map_err(StoreError::refusal)
}

/// The guest, if they are expected, by an invitation that was mailed to this address and that nobody has taken back. Where the
/// organisation brings links in its own way, none is mailed in their place.
async fn waiting(vestibule: &Vestibule, view: &TenantView, guest: UserId, address: &EmailAddress) -> Result<Option<User>, Code> {
    let (store, tenant) = (&vestibule.foundation.store, view.tenant.id);
    let user = store.get(&records::user(tenant, guest)).await.map_err(StoreError::refusal)?.map(|stored| stored.value);
    let Some(user) = user.filter(|user| user.is_pending() && user.account_enabled) else { return Ok(None) };
    let Some(latest) = user.invitation else { return Ok(None) };
    let mailed = store.get(&records::delivery(tenant, latest)).await.map_err(StoreError::refusal)?.is_some();
    let invitation = store.get(&records::invitation(tenant, latest)).await.map_err(StoreError::refusal)?.filter(|_| mailed);
    let open = invitation
        .is_some_and(|stored| stored.value.state == InvitationState::Open && stored.value.address.as_ref() == Some(address));
    Ok(Some(user).filter(|_| open))
}
