//! The end of a journey: a session, and the place it was all for.

use axum::response::{IntoResponse, Response};

use super::Open;
use crate::{
    crash,
    domain::journey::settle,
    error::Code,
    flows::{
        directory::TenantView,
        journey::Loaded,
        session::{self, Session},
        tokens,
    },
    http::{
        pages::{Chrome, Declined, Destination, Field, FormPost, Leaving},
        urls::Path,
        visit::see_other,
    },
    oidc::{AuthorizeRequest, authorize::AuthorizationResponse},
};

/// Lets somebody in who has nothing left to do.
pub(super) async fn land(mut open: Open, loaded: Loaded) -> Response {
    crash::point("land-begun");
    let view = open.view.clone();
    let journey = open.journey.clone();
    let languages = open.languages.wished.clone();
    let facts = loaded.facts(&view, &journey, &languages);
    let Ok(settled) = settle(&facts) else { return open.visit.refuse_in(Some(&view), Code::Internal) };
    let session = match (&journey.proof, loaded.session.clone()) {
        (Some((proof, _)), _) => {
            if let Some(old) = open.session.take() {
                // A new sign-in takes the place of the old one, which ends everywhere. Only a proof that was made in this
                // browser leads here, so nobody else can cause this write.
                if let Err(error) = session::end(&open.vestibule().foundation, &old).await {
                    return open.visit.refuse_in(Some(&view), crate::flows::directory::unavailable(error));
                }
            }
            let session = Session::begin(&view.tenant, settled.user(), proof, &open.vestibule().foundation);
            open.cookies.keep_session(&session, &open.visit.vestibule);
            session
        }
        (None, Some(session)) => session,
        (None, None) => return open.visit.refuse_in(Some(&view), Code::Internal),
    };
    crash::point("session-made");
    open.close();
    if let Some(request) = &journey.request {
        let Some(code) = tokens::issue_code(open.vestibule(), &view, request, &session, &settled) else {
            return open.visit.refuse_in(Some(&view), Code::Internal);
        };
        crash::point("code-made");
        let answer = request.success(&code, view.keys.issuer());
        let chrome = open.chrome(Some(&loaded));
        return open.cookies.onto(answer_client(chrome, &view, request, answer));
    }
    let homepage = facts.app.and_then(|app| app.homepage.as_ref().map(|url| (app.display_name.clone(), url.clone())));
    let response = match homepage {
        Some((name, url)) => {
            let chrome = open.chrome(Some(&loaded));
            Leaving { chrome, destination: Destination::App, name, to: (&url).into() }.into_response()
        }
        None => see_other(&Path::Panel(view.tenant.id)),
    };
    open.cookies.onto(response)
}

/// Brings an answer to a client by way of a page.
pub(in crate::http) fn answer_client(
    chrome: Chrome,
    view: &TenantView,
    request: &AuthorizeRequest,
    answer: AuthorizationResponse,
) -> Response {
    let name = view.apps.get(&request.app).map(|app| app.display_name.clone()).unwrap_or_default();
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
        form => answer_client(open.chrome(None), &open.view, request, form),
    };
    open.cookies.onto(response)
}

/// Somebody declined or cancelled: a page from which they can start again, and from which the client learns of it.
pub(super) fn declined(mut open: Open, loaded: &Loaded, code: Code) -> Response {
    open.close();
    let mut chrome = open.chrome(Some(loaded));
    // The journey is over: there is nothing left to switch in it.
    if let Some(account) = &mut chrome.account {
        account.switch = None;
    }
    let back_to_app = open.journey.request.as_ref().and_then(|request| {
        let name = open.app_name()?;
        match request.refuse(code).response(open.view.keys.issuer()) {
            AuthorizationResponse::Redirect { location } => Some((name, location.into())),
            AuthorizationResponse::FormPost { .. } => None,
        }
    });
    let page = Declined { chrome, code, start_again: Some(open.start_again()), back_to_app };
    open.cookies.onto(page.into_response())
}
