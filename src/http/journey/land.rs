//! The end of a journey: a session, and the place it was all for.

use axum::response::{IntoResponse, Response};

use super::{Open, steps};
use crate::{
    crash,
    domain::{AppId, WebUrl, journey::Settled},
    error::Code,
    flows::{Loaded, directory::TenantView, session::Session, tokens},
    http::{
        pages::{Chrome, Declined, Destination, Field, FormPost, Leaving},
        urls::Path,
        visit::see_other,
    },
    oidc::authorize::AuthorizationResponse,
};

/// Lets somebody in who has nothing left to do.
pub(super) fn land(mut open: Open, loaded: &Loaded, settled: &Settled) -> Response {
    crash::point("land-begun");
    let view = open.view.clone();
    let journey = open.journey.clone();
    let session = match (&journey.proof, loaded.session.clone()) {
        (Some(proof), _) => {
            let fresh = Session::of(&view.tenant, settled.user(), proof);
            let old = open.session.clone().filter(|old| old.id != fresh.id);
            match old {
                // Signed in already, and nobody asked for more: the journey adds nothing.
                Some(old) if old.user == fresh.user && !journey.wants_fresh_login() => old,
                // The new session takes the place of the old one, which ends everywhere: a change, so a button to press.
                Some(_) => return steps::resume(open, loaded),
                None if fresh.is_alive(&*open.vestibule().live, open.vestibule().foundation.now()) => {
                    open.cookies.keep_session(&fresh, &open.visit.vestibule);
                    fresh
                }
                // This journey has landed before, and what it became was signed out.
                None => return super::lost(open, Code::JourneyLost),
            }
        }
        (None, Some(session)) => session,
        (None, None) => return open.visit.refuse_in(Some(&view), Code::Internal),
    };
    crash::point("session-made");
    open.close();
    if let Some(request) = &journey.request {
        let Some(code) = tokens::issue_code(open.vestibule(), &view, request, &session, settled) else {
            return open.visit.refuse_in(Some(&view), Code::Internal);
        };
        crash::point("code-made");
        let answer = request.success(&code, view.keys.issuer());
        let chrome = open.chrome(Some(loaded));
        return open.cookies.onto(answer_client(chrome, &view, request.app, answer));
    }
    if let Some(url) = invited_to(&open, loaded) {
        let chrome = open.chrome(Some(loaded));
        let name = view.tenant.display_name.clone();
        return open.cookies.onto(Leaving { chrome, destination: Destination::Invited, name, to: (&url).into() }.into_response());
    }
    let app = settled.app().and_then(|app| view.apps.get(&app));
    let homepage = app.and_then(|app| app.homepage.as_ref().map(|url| (app.display_name.clone(), url.clone())));
    let response = match homepage {
        Some((name, url)) => {
            let chrome = open.chrome(Some(loaded));
            Leaving { chrome, destination: Destination::App, name, to: (&url).into() }.into_response()
        }
        None => see_other(&Path::Panel(view.tenant.id)),
    };
    open.cookies.onto(response)
}

/// Where the invitation leads whose link was opened, if it still may.
fn invited_to(open: &Open, loaded: &Loaded) -> Option<WebUrl> {
    let invitation = loaded.invitation.as_ref().filter(|_| open.journey.invitation.is_some())?;
    let view = &open.view;
    invitation.landing(open.vestibule().public_url(), view.apps.values(), &view.tenant.policy).cloned()
}

/// Brings an answer to a client by way of a page.
pub(in crate::http) fn answer_client(chrome: Chrome, view: &TenantView, app: AppId, answer: AuthorizationResponse) -> Response {
    let name = view.apps.get(&app).map(|app| app.display_name.clone()).unwrap_or_default();
    match answer {
        AuthorizationResponse::Redirect { location } => {
            Leaving { chrome, destination: Destination::App, name, to: location.into() }.into_response()
        }
        AuthorizationResponse::FormPost { action, fields } => {
            let fields = fields.into_iter().map(|(name, value)| Field { name: name.to_owned(), value }).collect();
            FormPost { chrome, app: name, to: action.into(), fields }.into_response()
        }
    }
}

/// Tells a client that it does not get what it wanted, at once.
pub(super) fn refuse_client(mut open: Open, code: Code) -> Response {
    open.close();
    let Some(request) = &open.journey.request else { return open.visit.refuse_in(Some(&open.view), code) };
    let answer = request.refuse(code).response(open.view.keys.issuer());
    let response = match answer {
        AuthorizationResponse::Redirect { location } => see_other(&location),
        form => answer_client(open.chrome(None), &open.view, request.app, form),
    };
    open.cookies.onto(response)
}

/// Somebody declined or cancelled: a page from which they can start again, and from which the client learns of it.
pub(super) fn declined(mut open: Open, loaded: &Loaded, code: Code) -> Response {
    let mut chrome = open.chrome(Some(loaded));
    // Nobody is signed in by a journey that ends like this, and there is nothing left to switch in it.
    chrome.account = None;
    let answer = open.journey.request.as_ref().map(|request| (request, request.refuse(code).response(open.view.keys.issuer())));
    let back_to_app = match answer {
        Some((_, AuthorizationResponse::Redirect { location })) => open.app_name().map(|name| (name, location.into())),
        // A form cannot be a link: the client is told by the page that posts it.
        Some((request, form)) => {
            let page = answer_client(chrome, &open.view, request.app, form);
            open.close();
            return open.cookies.onto(page);
        }
        None => None,
    };
    if open.journey.invitation.is_some() {
        // There is no other link to start again from.
        open.journey.start_over();
        if let Err(code) = open.keep() {
            return open.visit.refuse_in(Some(&open.view), code);
        }
    } else {
        open.close();
    }
    let page = Declined { chrome, code, start_again: Some(open.start_again()), back_to_app };
    open.cookies.onto(page.into_response())
}
