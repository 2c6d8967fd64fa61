//! The end of a journey that is not for getting in: a question, and what the answer does.

use axum::response::{IntoResponse, Response};

use super::{Open, steps};
use crate::{
    domain::{
        EmailAddress,
        journey::{Errand, Step, next},
    },
    error::Code,
    flows::{Loaded, blocked_invitations, leave, send_again},
    http::{
        form::Form,
        pages::{ConfirmLeave, InvitationsByMail, Left, SendAgain},
        urls::{Action, Path},
        visit::contact,
    },
};

/// Asks whether to do it. `error` is why it was not done.
pub(super) async fn show(open: Open, loaded: &Loaded, errand: Errand, error: Option<Code>) -> Response {
    match (errand, open.journey.address.clone()) {
        (Errand::Leave, _) => ask_to_leave(open, loaded),
        (Errand::BlockInvitations, Some(address)) => ask_about_invitations(open, address).await,
        (Errand::SendAgain, Some(address)) => offer_to_send_again(open, &address, error),
        (Errand::BlockInvitations | Errand::SendAgain, None) => steps::identify(open, None),
    }
}

fn ask_to_leave(open: Open, loaded: &Loaded) -> Response {
    let shown = ConfirmLeave {
        chrome: open.chrome(Some(loaded)),
        action: open.form(Action::Confirm),
        stay: Path::Panel(open.view.tenant.id).to_string().into(),
        contact: contact(&open.view),
    };
    steps::page(open, shown)
}

async fn ask_about_invitations(open: Open, address: EmailAddress) -> Response {
    let tenant = open.view.tenant.id;
    let blocked = match blocked_invitations::are_blocked(&open.vestibule().foundation, tenant, &address).await {
        Ok(blocked) => blocked,
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    let mut chrome = open.chrome(None);
    chrome.account = None;
    let shown = InvitationsByMail { chrome, action: open.form(Action::Confirm), address: address.to_string(), blocked };
    steps::page(open, shown)
}

fn offer_to_send_again(open: Open, address: &EmailAddress, error: Option<Code>) -> Response {
    let mut chrome = open.chrome(None);
    chrome.account = None;
    let shown = SendAgain {
        chrome,
        action: open.form(Action::Confirm),
        address: address.to_string(),
        other: open.start_again(),
        asked: open.journey.code_sent.is_some(),
        contact: contact(&open.view),
        error,
    };
    steps::page(open, shown)
}

/// Does it, if it is what is asked now.
pub(super) async fn confirm(mut open: Open, form: &Form) -> Response {
    let loaded = match open.load().await {
        Ok(loaded) => loaded,
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    let step = next(&loaded.facts(&open.view, &open.journey, &open.languages.wished));
    let Step::Confirm(errand) = step else { return open.go_on() };
    let (vestibule, view) = (open.visit.vestibule.clone(), open.view.clone());
    match (errand, loaded.user.as_ref(), open.journey.address.clone(), form.get("answer")) {
        (Errand::Leave, Some(user), ..) => match leave::leave(&vestibule, &view, user.id).await {
            Ok(()) => left(open),
            Err(code) => open.visit.refuse_in(Some(&open.view), code),
        },
        (Errand::BlockInvitations, _, Some(address), Some(answer @ ("block" | "allow"))) => {
            match blocked_invitations::set(&vestibule.foundation, view.tenant.id, &address, answer == "block").await {
                Ok(()) => open.go_on(),
                Err(code) => open.visit.refuse_in(Some(&open.view), code),
            }
        }
        (Errand::SendAgain, _, Some(address), _) => {
            match send_again::ask(&vestibule, &view, &address, open.visit.client, open.languages.page).await {
                Ok(()) => {
                    open.journey.code_sent = Some(vestibule.foundation.now());
                    open.go_on()
                }
                Err(code) => open.go_back(code),
            }
        }
        _ => open.visit.refuse_in(Some(&open.view), Code::RequestInvalid),
    }
}

/// Nothing of the guest stays in this browser.
fn left(mut open: Open) -> Response {
    open.close();
    if open.session.take().is_some() {
        open.cookies.drop_session(open.view.tenant.id);
    }
    let mut chrome = open.chrome(None);
    chrome.account = None;
    let shown = Left { chrome, contact: contact(&open.view) };
    open.cookies.onto(shown.into_response())
}
