//! The forms of a journey: each takes down one fact and goes back to the dispatcher.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Path, State},
    response::Response,
};

use super::{Open, account, errand, land, mailbox};
use crate::{
    crash,
    domain::{
        EmailAddress,
        journey::{Step, next},
        tenant::IdentitySource,
        terms::{Acceptance, Answer, Owed},
    },
    error::Code,
    flows::{Loaded, Vestibule, prove, redeem, session},
    http::{
        form::Form,
        urls,
        urls::Action,
        visit::{Visit, see_other},
    },
    secret::Secret,
};

/// `POST` of a form.
pub async fn post(
    State(_): State<Arc<Vestibule>>,
    Path((authority, id, action)): Path<(String, String, String)>,
    visit: Visit,
    body: Bytes,
) -> Response {
    let open = match Open::find(visit, &authority, &id).await {
        Ok(open) => open,
        Err(response) => return *response,
    };
    let form = match Form::parse(&body) {
        Ok(form) => form,
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    if !form.get("csrf").is_some_and(|token| open.journey.is_form_token(token)) {
        return open.visit.refuse_in(Some(&open.view), Code::CrossSite);
    }
    match Action::from_segment(&action) {
        Some(Action::Address) => address(open, &form),
        Some(Action::SendCode) => send_code(open).await,
        Some(Action::Code) => code(open, &form).await,
        Some(Action::Password) => password(open, &form).await,
        Some(Action::Account) => account::choose(open),
        Some(Action::Passkey) => account::passkey(open, &form).await,
        Some(Action::SetUp) => account::set_up(open),
        Some(Action::NewPassword) => account::new_password(open, &form).await,
        Some(Action::NewPasskey) => account::new_passkey(open, &form).await,
        Some(Action::HomeOrganisation) => home_organisation(open),
        Some(Action::Permissions) => permissions(open, &form).await,
        Some(Action::OpenTerms) => open_terms(open).await,
        Some(Action::Terms) => terms(open, &form).await,
        Some(Action::SwitchAccount) => switch_account(open).await,
        Some(Action::Continue) => commit(open).await,
        Some(Action::SendMailboxCode) => mailbox::send_code(open).await,
        Some(Action::Mailbox) => mailbox::take_code(open, &form).await,
        Some(Action::Confirm) => errand::confirm(open, &form).await,
        Some(Action::Cancel) => land::declined(open, &Loaded::default(), Code::Cancelled),
        None => open.visit.refuse_in(Some(&open.view), Code::PathUnknown),
    }
}

fn address(mut open: Open, form: &Form) -> Response {
    match form.get("email").unwrap_or_default().trim().parse::<EmailAddress>() {
        Ok(address) => {
            open.journey.identify(address);
            open.go_on()
        }
        Err(_) => open.go_back(Code::AddressMalformed),
    }
}

async fn send_code(mut open: Open) -> Response {
    open.journey.chosen = Some(IdentitySource::OneTimePasscode);
    let language = open.languages.page;
    match prove::send_code(&open.visit.vestibule, &open.view, &mut open.journey, open.visit.client, language).await {
        Ok(()) => open.go_on(),
        Err(code) => open.go_back(code),
    }
}

/// Says why a code did not count. Where there is none that could, the page offers to send one: none is on its way.
pub(super) fn refuse_code(mut open: Open, code: Code) -> Response {
    if code == Code::CodeExpired {
        open.journey.code_sent = None;
    }
    open.go_back(code)
}

async fn code(mut open: Open, form: &Form) -> Response {
    crash::point("passcode-received");
    let typed = form.get("code").unwrap_or_default();
    match prove::verify_code(&open.visit.vestibule, &open.view, &mut open.journey, typed).await {
        Ok(()) => {
            crash::point("passcode-verified");
            take_the_place(open).await
        }
        Err(code) => refuse_code(open, code),
    }
}

async fn password(mut open: Open, form: &Form) -> Response {
    // The address can still be corrected beside the password.
    match form.get("email").map(|email| email.trim().parse::<EmailAddress>()) {
        Some(Ok(address)) if open.journey.address.as_ref() != Some(&address) => open.journey.identify(address),
        Some(Err(_)) => return open.go_back(Code::AddressMalformed),
        _ => {}
    }
    let password = Secret::new(form.get("password").unwrap_or_default());
    match prove::verify_password(&open.visit.vestibule, &open.view, &mut open.journey, &password).await {
        Ok(()) => take_the_place(open).await,
        Err(code) => open.go_back(code),
    }
}

fn home_organisation(mut open: Open) -> Response {
    open.journey.chosen = Some(IdentitySource::HomeOrganisation);
    open.journey.attempt = None;
    open.go_on()
}

async fn permissions(mut open: Open, form: &Form) -> Response {
    crash::point("permissions-received");
    let loaded = match open.load().await {
        Ok(loaded) => loaded,
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    let asked = next(&loaded.facts(&open.view, &open.journey, &open.languages.wished)) == Step::ReviewPermissions;
    match form.get("answer") {
        // An answer to a question that is not asked any more (a form sent twice) changes nothing.
        _ if !asked => open.go_on(),
        Some("accept") => {
            open.journey.permissions_accepted = Some(open.vestibule().foundation.now());
            commit(open).await
        }
        Some("cancel") => land::declined(open, &loaded, Code::ConsentDeclined),
        _ => open.visit.refuse_in(Some(&open.view), Code::RequestInvalid),
    }
}

/// Opens the document in a tab of its own. That it was opened is sealed into the journey, so the page it was pressed on
/// can be submitted as it is.
async fn open_terms(mut open: Open) -> Response {
    let loaded = match open.load().await {
        Ok(loaded) => loaded,
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    let document = match next(&loaded.facts(&open.view, &open.journey, &open.languages.wished)) {
        Step::Terms(owed) => owed.version.document,
        _ => return open.go_on(),
    };
    if !open.journey.opened.contains(&document) {
        open.journey.opened.push(document);
    }
    if let Err(code) = open.keep() {
        return open.visit.refuse_in(Some(&open.view), code);
    }
    let to = urls::Path::Document(open.view.tenant.id, open.journey.id, document);
    open.cookies.onto(see_other(&to))
}

async fn terms(mut open: Open, form: &Form) -> Response {
    crash::point("terms-received");
    let loaded = match open.load().await {
        Ok(loaded) => loaded,
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    let (view, now) = (open.view.clone(), open.vestibule().foundation.now());
    let wished = open.languages.wished.clone();
    let journey = open.journey.clone();
    let Step::Terms(shown) = next(&loaded.facts(&view, &journey, &wished)) else { return commit(open).await };
    let version = shown.version;
    if form.get("document") != Some(version.document.to_string().as_str()) {
        // Something else was shown: nothing is recorded for what was not seen (checklist L-17).
        let answered = journey.given.iter().any(|given| form.get("document") == Some(given.document.to_string().as_str()));
        return if answered { open.go_on() } else { open.go_back(Code::TermsChanged) };
    }
    let Some(user) = loaded.user.as_ref().map(|user| user.id) else { return open.go_on() };
    let acceptance = |answer| record(&shown, user, journey.destination.app(), answer, now);
    match form.get("answer") {
        Some("accept") if shown.agreement.must_open && !journey.opened.contains(&version.document) => {
            open.go_back(Code::TermsNotOpened)
        }
        Some("accept") => {
            open.journey.given.push(acceptance(Answer::Accepted));
            commit(open).await
        }
        Some("decline") => match redeem::record_decline(&open.visit.vestibule, &view, &acceptance(Answer::Declined)).await {
            Ok(()) => land::declined(open, &loaded, Code::TermsDeclined),
            Err(code) => open.visit.refuse_in(Some(&view), code),
        },
        _ => open.visit.refuse_in(Some(&view), Code::RequestInvalid),
    }
}

fn record(
    shown: &Owed<'_>,
    user: crate::domain::UserId,
    app: Option<crate::domain::AppId>,
    answer: Answer,
    at: jiff::Timestamp,
) -> Acceptance {
    Acceptance {
        agreement: shown.agreement.id,
        user,
        language: shown.file.language.clone(),
        version: shown.version.version,
        document: shown.version.document,
        answer,
        app,
        at,
    }
}

/// Goes on, and commits first when everything is agreed.
async fn commit(mut open: Open) -> Response {
    let loaded = match open.load().await {
        Ok(loaded) => loaded,
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    match next(&loaded.facts(&open.view, &open.journey, &open.languages.wished)) {
        Step::Redeem => {}
        Step::Refuse(_) => return open.go_on(),
        // Nothing is: another click recorded it all. This sign-in takes the place of the session before it all the same
        // (checklist S-66).
        Step::Land => return take_the_place(open).await,
        // Something is owed still: the next page says what.
        Step::Identify
        | Step::Authenticate(_)
        | Step::ProveMailbox(_)
        | Step::SetUpAccount
        | Step::ReviewPermissions
        | Step::Terms(_)
        | Step::Confirm(_) => return take_the_place(open).await,
    }
    let session = open.session.clone();
    let languages = open.languages.wished.clone();
    let (vestibule, view) = (open.visit.vestibule.clone(), open.view.clone());
    match redeem::commit_agreed(&vestibule, &view, &mut open.journey, session.as_ref(), &languages).await {
        Ok(()) => {
            crash::point("redeem-answered");
            take_the_place(open).await
        }
        Err(code @ (Code::StoreUnavailable | Code::Changed | Code::Internal)) => open.visit.refuse_in(Some(&view), code),
        Err(_) => open.go_on(),
    }
}

/// Another account, the same link: the old session ends here and everywhere.
async fn switch_account(mut open: Open) -> Response {
    open.journey.switch_account();
    end_old_session(open).await
}

/// A new sign-in takes the place of the session that was there: its id dies with it (checklist S-66).
pub(super) async fn take_the_place(open: Open) -> Response {
    let replaced = open.journey.proof.as_ref().zip(open.session.as_ref()).is_some_and(|(proof, old)| proof.session != old.id);
    if replaced { end_old_session(open).await } else { open.go_on() }
}

async fn end_old_session(mut open: Open) -> Response {
    if let Some(session) = open.session.take() {
        if let Err(error) = session::end(&open.vestibule().foundation, &session).await {
            return open.visit.refuse_in(Some(&open.view), error.refusal());
        }
        open.cookies.drop_session(open.view.tenant.id);
    }
    open.go_on()
}
