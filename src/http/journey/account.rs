//! Accounts that live here: signing in with one, and setting one up.

use axum::response::Response;

use super::{Open, forms::take_the_place, steps};
use crate::{
    domain::{
        journey::{Step, next},
        tenant::IdentitySource,
        user::User,
    },
    error::Code,
    flows::{
        Loaded,
        accounts::{self, Credential, Credentials},
    },
    http::{
        form::Form,
        pages::{PasskeyForm, SetUpAccount},
        urls::Action,
    },
    identity::passkey::Begun,
    secret::Secret,
};

/// Whether somebody with the address of the journey could set up an account.
pub(super) fn is_set_up_here(open: &Open) -> bool {
    open.journey.address.as_ref().is_some_and(|address| accounts::are_offered(&open.view, address))
}

/// Whether the one in front of us has most likely no account here yet: they come by an invitation that nobody has accepted, with
/// the address that it went to.
pub(super) fn is_likely_to_have_none(open: &Open) -> bool {
    let invitation = open.journey.invitation.as_ref().filter(|opened| opened.is_open());
    is_set_up_here(open) && invitation.is_some_and(|opened| opened.address.is_none() || opened.address == open.journey.address)
}

/// Asks the browser for a passkey to sign in with, of whomever.
pub(super) fn sign_in(open: &mut Open) -> Option<PasskeyForm> {
    let begun = is_set_up_here(open).then(|| open.vestibule().passkeys.begin_assertion()).flatten()?;
    Some(ask(open, begun, Action::Passkey))
}

fn ask(open: &mut Open, begun: Begun, action: Action) -> PasskeyForm {
    open.journey.ceremony = Some(begun.ceremony);
    PasskeyForm { action: open.form(action), options: begun.options }
}

pub(super) fn choose(mut open: Open) -> Response {
    open.journey.choose(IdentitySource::LocalAccount);
    open.go_on()
}

pub(super) fn set_up(mut open: Open) -> Response {
    if is_set_up_here(&open) {
        open.journey.set_up();
    }
    open.go_on()
}

/// Takes a passkey's signature.
pub(super) async fn passkey(mut open: Open, form: &Form) -> Response {
    // One answer to each question, right or wrong.
    let ceremony = open.journey.ceremony.take().filter(|_| is_set_up_here(&open));
    let Some(ceremony) = ceremony else { return open.go_back(Code::PasskeyRefused) };
    let answer = form.get("credential").unwrap_or_default();
    match accounts::sign_in_with_passkey(&open.visit.vestibule, &open.view, &ceremony, answer).await {
        Ok(identity) => {
            open.journey.prove(identity, &open.visit.vestibule.foundation);
            take_the_place(open).await
        }
        Err(code) => open.go_back(code),
    }
}

/// Asks for what shall open the account.
pub(super) async fn show(mut open: Open, loaded: &Loaded, error: Option<Code>) -> Response {
    let Some(user) = loaded.account.as_ref() else { return open.visit.refuse_in(Some(&open.view), Code::Internal) };
    let existing = match Credentials::read(&open.vestibule().foundation, open.view.tenant.id, user.id).await {
        Ok(existing) => existing,
        Err(error) => return open.visit.refuse_in(Some(&open.view), error.refusal()),
    };
    let begun = accounts::begin_passkey(open.vestibule(), &open.view, user, &existing);
    let shown = SetUpAccount {
        chrome: open.chrome(Some(loaded)),
        action: open.form(Action::NewPassword),
        passkey: begun.map(|begun| ask(&mut open, begun, Action::NewPasskey)),
        name: user.mail.as_ref().map_or_else(|| user.display_name.clone(), ToString::to_string),
        again: !user.is_pending(),
        error,
    };
    steps::page(open, shown)
}

pub(super) async fn new_password(mut open: Open, form: &Form) -> Response {
    let user = match owed(&mut open).await {
        Ok(Some(user)) => user,
        // A form that was sent twice, or at another time.
        Ok(None) => return open.go_on(),
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    let password = Secret::new(form.get("password").unwrap_or_default());
    match accounts::new_password(&open.visit.vestibule, &open.view, &user, &password).await {
        Ok(credential) => keep(open, &user, credential).await,
        Err(code) => open.go_back(code),
    }
}

pub(super) async fn new_passkey(mut open: Open, form: &Form) -> Response {
    let user = match owed(&mut open).await {
        Ok(Some(user)) => user,
        Ok(None) => return open.go_on(),
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    let Some(ceremony) = open.journey.ceremony.take() else { return open.go_back(Code::PasskeyRefused) };
    let answer = form.get("credential").unwrap_or_default();
    match accounts::finish_passkey(&open.visit.vestibule, &ceremony, user.id, answer) {
        Ok(credential) => keep(open, &user, credential).await,
        Err(code) => open.go_back(code),
    }
}

/// Whose account is to be set up now: a form that comes at another time sets up nothing (checklist L-06).
async fn owed(open: &mut Open) -> Result<Option<User>, Code> {
    let loaded = open.load().await?;
    let step = next(&loaded.facts(&open.view, &open.journey, &open.languages.wished));
    Ok((step == Step::SetUpAccount).then_some(()).and(loaded.account))
}

/// Goes on with the account: of a guest who is yet to come it is written when they redeem; one that there was is set up anew
/// at once.
async fn keep(mut open: Open, user: &User, credential: Credential) -> Response {
    let proven = open.journey.mailbox_proven;
    if !user.is_pending()
        && let Err(code) = accounts::recover(&open.visit.vestibule, &open.view, user.id, proven, &credential).await
    {
        return open.visit.refuse_in(Some(&open.view), code);
    }
    let foundation = &open.visit.vestibule.foundation;
    let (mailbox, typed) = (open.journey.mailbox.clone(), open.journey.address.as_ref().map(ToString::to_string));
    let identity = accounts::proven(&open.view, user.id, credential.amr(), mailbox, typed, foundation.now());
    open.journey.prove(identity, foundation);
    if user.is_pending() {
        open.journey.credential = Some(credential);
    }
    take_the_place(open).await
}
