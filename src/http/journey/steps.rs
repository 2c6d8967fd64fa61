//! One page a step.

use axum::response::{IntoResponse, Response};

use super::{Open, account, errand, land, mailbox};
use crate::{
    domain::{
        EmailAddress,
        journey::{Demands, Step, settle},
        tenant::IdentitySource,
        terms::{Audience, MediaType, Owed, owed},
        user::UserType,
    },
    error::Code,
    flows::{Loaded, journey::ways, prove},
    http::{
        pages::{
            Destination, EnterCode, Identify, Leaving, OtherWay, Password, Refusal, Resume, ReviewPermissions, SendCode,
            SignInAtHome, Terms,
            markdown::{Rendered, markdown, plain_text},
        },
        urls::{self, Action, Path},
        visit::contact,
    },
};

/// Shows what the journey owes. `error` is what was wrong with the form that was sent before.
pub(super) async fn show(mut open: Open, error: Option<Code>) -> Response {
    let loaded = match open.load().await {
        Ok(loaded) => loaded,
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    // What is shown borrows the snapshot, not the journey, which goes on changing.
    let view = open.view.clone();
    let journey = open.journey.clone();
    let languages = open.languages.wished.clone();
    let step = match settle(&loaded.facts(&view, &journey, &languages)) {
        Ok(settled) => return land::land(open, &loaded, &settled),
        Err(step) => step,
    };
    if journey.request.as_ref().is_some_and(crate::oidc::AuthorizeRequest::is_silent) {
        return land::refuse_client(open, silent_refusal(&step));
    }
    match step {
        Step::Identify => identify(open, error),
        Step::Authenticate(IdentitySource::HomeOrganisation) if error.is_none() => home_organisation(open).await,
        Step::Authenticate(IdentitySource::HomeOrganisation) => refuse(open, &loaded, error.unwrap_or(Code::HomeRefused)),
        Step::Authenticate(IdentitySource::OneTimePasscode) => passcode(open, error),
        Step::Authenticate(IdentitySource::LocalAccount) => password(open, error),
        Step::ProveMailbox(address) => mailbox::show(open, &loaded, address, error),
        Step::SetUpAccount => account::show(open, &loaded, error).await,
        Step::Refuse(code) => refuse(open, &loaded, code),
        Step::ReviewPermissions => review(open, &loaded, &journey.demands()),
        Step::Terms(owed) => terms(open, &loaded, owed, error).await,
        // `Land` never comes here: what owes nothing is settled, which is not an error.
        Step::Redeem | Step::Land => resume(open, &loaded),
        Step::Confirm(errand) => errand::show(open, &loaded, errand, error).await,
    }
}

/// What a client learns that wanted nobody to be asked anything (OpenID Connect Core 3.1.2.6).
pub(in crate::http) fn silent_refusal(step: &Step<'_>) -> Code {
    match step {
        Step::Identify | Step::Authenticate(_) | Step::SetUpAccount => Code::LoginRequired,
        Step::ReviewPermissions => Code::ConsentRequired,
        Step::ProveMailbox(_) | Step::Terms(_) | Step::Redeem | Step::Confirm(_) => Code::InteractionRequired,
        Step::Refuse(code) => *code,
        Step::Land => Code::Internal,
    }
}

pub(super) fn page(mut open: Open, page: impl IntoResponse) -> Response {
    match open.keep() {
        Ok(()) => open.cookies.onto(page.into_response()),
        Err(code) => open.visit.refuse_in(Some(&open.view), code),
    }
}

pub(super) fn identify(open: Open, error: Option<Code>) -> Response {
    let hint = open.journey.request.as_ref().and_then(|request| request.login_hint.clone());
    let invited = open.journey.invitation.as_ref().and_then(|opened| opened.address.as_ref());
    let typed = open.journey.address.as_ref().or(invited.filter(|_| !open.journey.switching)).map(ToString::to_string);
    let mut chrome = open.chrome(None);
    chrome.account = None;
    let shown = Identify {
        chrome,
        action: open.form(Action::Address),
        app: open.app_name(),
        errand: open.journey.errand,
        invited: open.introduction(),
        another: open.journey.switching,
        cancel: open.journey.request.is_some().then(|| open.form(Action::Cancel)),
        email: typed.or(hint).unwrap_or_default(),
        error,
    };
    page(open, shown)
}

/// The other ways that are open to the address.
fn other_ways(open: &Open, than: IdentitySource) -> Vec<OtherWay> {
    let Some(address) = &open.journey.address else { return Vec::new() };
    let others = ways(&open.view, address).into_iter().filter(|way| *way != than);
    others
        .map(|source| OtherWay {
            source,
            organisation: open.view.federation_for(&address.domain()).map(|federation| federation.display_name.clone()),
            action: open.form(match source {
                IdentitySource::HomeOrganisation => Action::HomeOrganisation,
                IdentitySource::OneTimePasscode => Action::SendCode,
                IdentitySource::LocalAccount => Action::Account,
            }),
        })
        .collect()
}

/// Leads to the home organisation. Somebody who comes *back* here without having signed in is asked again, instead of
/// being sent away for ever; and nobody leaves who was not told yet of the invitation whose link they have opened.
async fn home_organisation(mut open: Open) -> Response {
    if open.journey.attempt.take().is_some() {
        return identify(open, None);
    }
    if let Some(introduction) = open.introduction().filter(|_| open.journey.has_pressed_nothing())
        && let Some(address) = &open.journey.address
        && let Some(home) = open.view.federation_for(&address.domain())
    {
        let shown = SignInAtHome {
            chrome: open.chrome(None),
            action: open.form(Action::HomeOrganisation),
            invited: Some(introduction),
            organisation: home.display_name.clone(),
            other_ways: other_ways(&open, IdentitySource::HomeOrganisation),
        };
        return page(open, shown);
    }
    let (public_url, tenant) = (open.visit.vestibule.public_url().clone(), open.view.tenant.id);
    let callback = |federation| urls::callback(&public_url, tenant, federation);
    match prove::begin_home(&open.visit.vestibule, &open.view, &mut open.journey, callback).await {
        Ok(away) => {
            let chrome = open.chrome(None);
            let shown =
                Leaving { chrome, destination: Destination::HomeOrganisation, name: away.name, to: away.url.as_str().into() };
            page(open, shown)
        }
        Err(code) => {
            let loaded = Loaded::default();
            refuse(open, &loaded, code)
        }
    }
}

fn passcode(open: Open, error: Option<Code>) -> Response {
    let email = open.journey.address.as_ref().map(ToString::to_string).unwrap_or_default();
    let other_ways = other_ways(&open, IdentitySource::OneTimePasscode);
    let chrome = open.chrome(None);
    if open.journey.code_sent.is_none() {
        let (action, invited) = (open.form(Action::SendCode), open.introduction());
        let of_invited = invited.is_some() && open.journey.has_pressed_nothing();
        let shown = SendCode { chrome, action, invited, email, of_invited, other_ways, error };
        return page(open, shown);
    }
    let of_invited = open.journey.address.as_ref().is_some_and(|address| open.journey.is_of_invited(address));
    let shown = EnterCode {
        chrome,
        action: open.form(Action::Code),
        send: open.form(Action::SendCode),
        email,
        of_invited,
        minutes: open.view.tenant.policy.passcode_minutes.into(),
        resent: open.journey.codes_sent > 1 && error.is_none(),
        other_ways,
        error,
    };
    page(open, shown)
}

fn password(mut open: Open, error: Option<Code>) -> Response {
    let email = open.journey.address.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut chrome = open.chrome(None);
    chrome.account = None;
    let shown = Password {
        chrome,
        action: open.form(Action::Password),
        app: open.app_name(),
        invited: open.introduction(),
        email,
        passkey: account::sign_in(&mut open),
        set_up: account::is_set_up_here(&open).then(|| open.form(Action::SetUp)),
        set_up_first: account::is_likely_to_have_none(&open),
        other_ways: other_ways(&open, IdentitySource::LocalAccount),
        error,
    };
    page(open, shown)
}

/// A refusal in the middle of a journey: it names the account in use and lets it be switched, without losing the link.
pub(super) fn refuse(mut open: Open, loaded: &Loaded, code: Code) -> Response {
    let chrome = open.chrome(Some(loaded));
    let mut refusal = Refusal::new(chrome, code);
    refusal.expected_organisation = Some(open.view.tenant.display_name.clone());
    refusal.contact = contact(&open.view);
    refusal.start_again = Some(open.start_again()).filter(|_| !has_ended(code) && !leads_here_again(&open, &refusal));
    if matches!(code, Code::InvitedAsAnother | Code::AlreadyGuest | Code::InvitationUsed) {
        let invited = open.journey.invitation.as_ref().and_then(|opened| opened.address.as_ref());
        refusal.invited_as = invited.map(EmailAddress::masked);
    }
    let again =
        matches!(code, Code::InvitationExpired | Code::InvitationReplaced | Code::InvitationLinkNeeded | Code::NotInvited);
    refusal.send_again = again.then(|| Path::SendAgain(open.view.tenant.id).to_string().into());
    let home = matches!(code, Code::HomeUnreachable | Code::HomeAnswerInvalid | Code::HomeRefused | Code::EmailUnverified);
    if let (true, Some(address)) = (home || code == Code::BoundToAnotherIdentity, &open.journey.address) {
        // Who cannot come in through the home organisation may prove the mailbox, where the tenant offers it; who is known to
        // come in another way, in that. What was refused is not offered once more.
        let tried = open.journey.proof.as_ref().map(|proof| proof.identity.source);
        let other = loaded.own_way.unwrap_or(IdentitySource::OneTimePasscode);
        let offered = tried != Some(other) && ways(&open.view, address).contains(&other);
        let path = Path::Journey(open.view.tenant.id, open.journey.id);
        refusal.in_another_way = offered.then(|| (other, format!("{path}?{}", super::with(other)).into()));
        let organisation = open.view.federation_for(&address.domain());
        refusal.home_organisation = organisation.map(|federation| federation.display_name.clone());
    }
    if matches!(code, Code::AppNotAssigned | Code::AlreadyGuest) {
        refusal.apps = Some(Path::Panel(open.view.tenant.id).to_string().into());
    }
    if code == Code::AccountBlocked && loaded.user.as_ref().is_some_and(|user| user.external.is_some()) {
        refusal.leave = Some(Path::Leave(open.view.tenant.id).to_string().into());
    }
    match open.keep() {
        Ok(()) => open.cookies.onto(open.visit.refuse_with(refusal)),
        Err(code) => open.visit.refuse_in(Some(&open.view), code),
    }
}

/// Whether the beginning of an invitation's journey is this refusal once more: what it refuses is the account, and that is
/// switched by its own button.
fn leads_here_again(open: &Open, refusal: &Refusal) -> bool {
    open.journey.invitation.is_some() && refusal.switching_helps() && refusal.code.is_about_the_account()
}

/// Whether the link of the invitation that began the journey leads nowhere any more.
fn has_ended(code: Code) -> bool {
    matches!(code, Code::InvitationUnknown | Code::InvitationExpired | Code::InvitationReplaced | Code::InvitationRevoked)
}

/// The home organisation did not bring a proof: say why, and offer the other ways.
pub(in crate::http) fn refused_at_home(mut open: Open, code: Code) -> Response {
    open.journey.attempt = None;
    refuse(open, &Loaded::default(), code)
}

fn review(open: Open, loaded: &Loaded, demands: &Demands) -> Response {
    let user = loaded.user.as_ref();
    let in_use = open.chrome(Some(loaded)).account.map(|account| account.label);
    let invited_as =
        user.and_then(|user| user.mail.as_ref()).map(ToString::to_string).filter(|mail| Some(mail) != in_use.as_ref());
    let privacy = &open.view.tenant.privacy;
    let shown = ReviewPermissions {
        chrome: open.chrome(Some(loaded)),
        action: open.form(Action::Permissions),
        app: open.app_name(),
        invited_as,
        privacy_statement: privacy.statement_url.as_ref().map(Into::into),
        privacy_contact: privacy.contact_email.as_ref().map(|mail| crate::http::pages::Contact(mail.to_string())),
        again: demands.permissions_since.is_some() || user.is_some_and(|user| !user.is_pending()),
    };
    page(open, shown)
}

/// An agreement, exactly as it would be accepted.
async fn terms(open: Open, loaded: &Loaded, shown: Owed<'_>, error: Option<Code>) -> Response {
    let (agreement, file, version) = (shown.agreement, shown.file, shown.version);
    let panel = match version.media {
        MediaType::Pdf => None,
        kind => match open.vestibule().documents.text(open.view.tenant.id, &version.document).await {
            Ok(text) => Some(rendered(kind, &text).under(&file.display_name)),
            Err(code) => return open.visit.refuse_in(Some(&open.view), code),
        },
    };
    let page_shown = Terms {
        chrome: open.chrome(Some(loaded)),
        action: open.form(Action::Terms),
        open_action: open.form(Action::OpenTerms),
        title: file.display_name.clone(),
        kind: version.media,
        document_language: file.language.clone(),
        version: version.version,
        published: version.published,
        document: version.document.to_string(),
        app: open.app_name(),
        must_open: agreement.must_open,
        opened: open.journey.opened.contains(&version.document),
        panel,
        position: position(&open, loaded),
        error,
    };
    page(open, page_shown)
}

/// A document as part of a page.
pub(in crate::http) fn rendered(kind: MediaType, text: &str) -> Rendered {
    if kind == MediaType::Markdown { markdown(text) } else { plain_text(text) }
}

/// Which of how many agreements of this journey is shown, counted from 1.
fn position(open: &Open, loaded: &Loaded) -> (u32, u32) {
    let answers: Vec<_> = loaded.acceptances.iter().chain(&open.journey.given).cloned().collect();
    let user_type = loaded.user.as_ref().map_or(UserType::Guest, |user| user.user_type);
    let audience = Audience { user_type, app: open.journey.destination.app(), languages: &open.languages.wished };
    let left = owed(&open.view.agreements, &answers, audience).len();
    let given = u32::try_from(open.journey.given.len()).unwrap_or(u32::MAX - 1);
    (given + 1, given.saturating_add(u32::try_from(left).unwrap_or_default()).max(given + 1))
}

pub(super) fn resume(open: Open, loaded: &Loaded) -> Response {
    let shown = Resume { chrome: open.chrome(Some(loaded)), action: open.form(Action::Continue), app: open.app_name() };
    page(open, shown)
}
