//! The guest of the demo who comes by the link of an invitation.

use serde::Serialize;

use crate::{
    domain::{EmailAddress, TenantId, WebUrl, audit::Actor, user::UserType},
    flows::{
        Vestibule,
        guests::{Administration, Invite, Outcome, Purpose},
    },
    store::records,
};

const EMAIL: &str = "aino@northwind.example";
const NAME: &str = "Aino Virtanen";

/// Who was invited, and the link. It is shown once, as every such link is: a second start over the same data has none.
#[derive(Serialize)]
pub(super) struct Invitation {
    pub(super) email: &'static str,
    pub(super) link: String,
}

/// Invites the guest to the app, unless that was done before. No mail is sent.
pub(super) async fn invite(vestibule: &Vestibule, tenant: TenantId, app: WebUrl) -> anyhow::Result<Option<Invitation>> {
    let (foundation, sender) = (&vestibule.foundation, &vestibule.sender);
    let address: EmailAddress = EMAIL.parse()?;
    if foundation.store.get(&records::address(tenant, &address)).await?.is_some() {
        return Ok(None);
    }
    let Some(view) = vestibule.directory.tenant(tenant).await? else { return Ok(None) };
    let administration = Administration { foundation, view: &view, actor: &Actor::Operator, sender };
    let invite = Invite {
        address: Some(address),
        user: None,
        expected: None,
        purpose: Purpose::Invite,
        display_name: Some(NAME.to_owned()),
        user_type: UserType::Guest,
        language: None,
        redirect: Some(app),
        send: None,
        sponsors: Vec::new(),
    };
    Ok(match administration.invite(&invite).await?.outcome {
        Outcome::Open { link, .. } => Some(Invitation { email: EMAIL, link: link.expose().to_owned() }),
        Outcome::Completed => None,
    })
}
