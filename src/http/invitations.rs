//! The link of an invitation.
//!
//! Opening it reads, and writes nothing, by whomever and however often it is done: mail scanners open links, run their
//! scripts and press their buttons (checklist L-09). Who has the ticket begins a journey that knows which guest is meant, and
//! goes on to the page that has them prove who they are; the address bar no longer shows the ticket then.

use std::sync::Arc;

use axum::{extract::State, response::Response};

use super::{
    browser,
    journey::Open,
    pages::Refusal,
    urls,
    visit::{Visit, contact},
};
use crate::{
    domain::{invitation::RedeemLink, link::Sources},
    error::Code,
    flows::{Vestibule, directory::TenantView, journey::Journey, opened},
};

/// `/redeem?tenant=…&user=…&ticket=…`.
pub async fn redeem(State(_): State<Arc<Vestibule>>, visit: Visit) -> Response {
    let link = match RedeemLink::parse(visit.query().unwrap_or_default()) {
        Ok(link) => link,
        Err(code) => return visit.refuse(code),
    };
    let sources = Sources { path: Some(&link.tenant), query: visit.query(), ..Sources::default() };
    let view = match visit.vestibule.directory.context(sources).await {
        Ok(view) => view,
        Err(code) => return visit.refuse(code),
    };
    let foundation = &visit.vestibule.foundation;
    let opened = match opened::by_link(foundation, &view, &link).await {
        Ok(opened) => opened,
        Err(code) => return refuse(&visit, &view, code),
    };
    let session = browser::session(&visit.headers, view.tenant.id, &visit.vestibule);
    let journey = Journey::from_invitation(opened, session.as_ref(), view.tenant.id, foundation);
    Open::begin(visit, view, journey, session).go_on()
}

fn refuse(visit: &Visit, view: &TenantView, code: Code) -> Response {
    let mut refusal = Refusal::new(visit.chrome(Some(view), None), code);
    refusal.expected_organisation = Some(view.tenant.display_name.clone());
    refusal.contact = contact(view);
    let helps = matches!(code, Code::InvitationExpired | Code::InvitationReplaced | Code::InvitationUnknown);
    refusal.send_again = helps.then(|| urls::Path::SendAgain(view.tenant.id).to_string().into());
    visit.refuse_with(refusal)
}
