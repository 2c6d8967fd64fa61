//! Proving a mailbox: the one that was invited, beside the account in use, or the one that an errand is about.

use axum::response::Response;

use super::{Open, forms, steps};
use crate::{
    domain::{
        EmailAddress,
        journey::{Step, next},
    },
    error::Code,
    flows::{Loaded, prove},
    http::{
        form::Form,
        pages::{Because, ProveMailbox},
        urls::Action,
    },
};

/// Offers to mail a code, or asks for it.
pub(super) fn show(open: Open, loaded: &Loaded, mailbox: &EmailAddress, error: Option<Code>) -> Response {
    let mut chrome = open.chrome(Some(loaded));
    let errand = open.journey.errand.is_some();
    if errand {
        chrome.account = None;
    }
    let because = match (errand, open.journey.setting_up) {
        (true, _) => Because::AboutTheAddress,
        (false, true) => Because::SettingUp,
        (false, false) => Because::InvitedAsAnother,
    };
    let typed = because != Because::InvitedAsAnother && open.journey.address.as_ref() == Some(mailbox);
    let shown = ProveMailbox {
        chrome,
        because,
        mailbox: if typed { mailbox.to_string() } else { mailbox.masked() },
        other: errand.then(|| open.start_again()),
        sent: open.journey.code_sent.is_some(),
        of_invited: open.journey.is_of_invited(mailbox),
        action: open.form(Action::Mailbox),
        send: open.form(Action::SendMailboxCode),
        minutes: open.view.tenant.policy.passcode_minutes.into(),
        resent: open.journey.codes_sent > 1 && error.is_none(),
        error,
    };
    steps::page(open, shown)
}

pub(super) async fn send_code(mut open: Open) -> Response {
    let mailbox = match owed(&mut open).await {
        Ok(Some(mailbox)) => mailbox,
        // A form that was sent twice.
        Ok(None) => return open.go_on(),
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    let (visit, view, language) = (&open.visit, open.view.clone(), open.languages.page);
    match prove::send_mailbox_code(&visit.vestibule, &view, &mut open.journey, &mailbox, visit.client, language).await {
        Ok(()) => open.go_on(),
        Err(code) => open.go_back(code),
    }
}

pub(super) async fn take_code(mut open: Open, form: &Form) -> Response {
    let mailbox = match owed(&mut open).await {
        Ok(Some(mailbox)) => mailbox,
        Ok(None) => return open.go_on(),
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    let typed = form.get("code").unwrap_or_default();
    let view = open.view.clone();
    match prove::verify_mailbox(&open.visit.vestibule, &view, &mut open.journey, &mailbox, typed).await {
        Ok(()) => open.go_on(),
        Err(code) => forms::refuse_code(open, code),
    }
}

/// The mailbox that has to be proven now: a form that comes at another time proves nothing (checklist L-06).
async fn owed(open: &mut Open) -> Result<Option<EmailAddress>, Code> {
    let loaded = open.load().await?;
    Ok(match next(&loaded.facts(&open.view, &open.journey, &open.languages.wished)) {
        Step::ProveMailbox(mailbox) => Some(mailbox.clone()),
        _ => None,
    })
}
