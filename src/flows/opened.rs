//! The link of an invitation, opened by somebody who has its ticket: which guest is meant, and what is said of it.

use serde::{Deserialize, Serialize};

use super::{Foundation, directory::TenantView};
use crate::{
    domain::{
        EmailAddress, InvitationId, UserId, WebUrl,
        audit::Actor,
        invitation::{InvitationState, RedeemLink},
    },
    error::Code,
    mail::one_line,
    secret::SecretHash,
    store::{StoreError, records},
};

/// How many characters of an inviter's name are shown, as in the mail.
const INVITER_MAX: usize = 80;

/// An invitation whose link was opened, by somebody who had the ticket. The ticket itself is not kept. What has become of the
/// invitation is read again wherever something is decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenedInvitation {
    /// Which one.
    pub id: InvitationId,
    /// Whose.
    pub user: UserId,
    /// The address that it went to.
    pub address: Option<EmailAddress>,
    /// What its guest is told of it; `None` when it was accepted before.
    pub introduction: Option<Introduction>,
}

impl OpenedInvitation {
    /// Whether nobody had accepted it when its link was opened.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.introduction.is_some()
    }
}

/// What is said of an open invitation to whoever has its ticket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Introduction {
    /// The name of the person who invited; `None` when it was a program or the operator, or they are gone.
    pub inviter: Option<String>,
    /// Host and port of the place that it leads to in the end; `None` for the apps panel.
    pub leads_to: Option<String>,
}

/// The invitation whose link was opened, for somebody who has its ticket. Whether the invitation is unknown, another tenant's, or
/// the ticket another one: the answer is the same, after the same work. Reads, and writes nothing.
///
/// # Errors
/// [`Code::InvitationUnknown`]; why it leads nowhere any more ([`crate::domain::invitation::Invitation::admit`]);
/// [`Code::StoreUnavailable`].
pub async fn by_link(foundation: &Foundation, view: &TenantView, link: &RedeemLink) -> Result<OpenedInvitation, Code> {
    let tenant = view.tenant.id;
    let key = records::invitation(tenant, link.invitation.unwrap_or(InvitationId(uuid::Uuid::nil())));
    let found = foundation.store.get(&key).await.map_err(StoreError::refusal)?.map(|stored| stored.value);
    let compared_with_nothing = || SecretHash::of(b"").matches(link.ticket.expose());
    let right = found.as_ref().map_or_else(compared_with_nothing, |invitation| invitation.is_ticket(&link.ticket));
    let invitation = found.filter(|_| right).ok_or(Code::InvitationUnknown)?;
    invitation.admit(foundation.now())?;
    let inviter = match invitation.invited_by {
        Actor::User(id) => Some(id),
        _ => None,
    };
    let people: Vec<_> = [invitation.user].into_iter().chain(inviter).map(|id| records::user(tenant, id)).collect();
    let mut found = foundation.store.get_all(&people).await.map_err(StoreError::refusal)?.into_iter();
    if found.next().flatten().is_none() {
        // Of a guest who has left, or was deleted, after they had accepted it.
        return Err(Code::InvitationUnknown);
    }
    let introduction = (invitation.state == InvitationState::Open).then(|| {
        let landing = invitation.landing(&foundation.public_url, view.apps.values(), &view.tenant.policy);
        let elsewhere = landing.filter(|url| url.origin() != foundation.public_url.origin());
        let inviter = found.next().flatten().map(|inviter| one_line(&inviter.value.display_name, INVITER_MAX));
        Introduction { inviter: inviter.filter(|name| !name.is_empty()), leads_to: elsewhere.map(WebUrl::host) }
    });
    Ok(OpenedInvitation { id: invitation.id, user: invitation.user, address: invitation.address, introduction })
}
