//! The OpenID provider's endpoints: parsing in, rendering out. What they decide is in [`crate::oidc`] and [`crate::flows`].

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use jiff::SignedDuration;

use super::{
    browser,
    journey::{self, Open, answer_client},
    links,
    pages::{Leaving, Refusal, SignOutConfirm},
    urls,
    visit::{Visit, see_other},
};
use crate::{
    domain::{journey::settle, link::Sources},
    error::{Code, OAuthError},
    flows::{Vestibule, directory::TenantView, session, tokens},
    i18n::Language,
    oidc::{
        Endpoints, RawAuthorize,
        authorize::AuthorizationResponse,
        grant::TokenRequest,
        logout::{LogoutDecision, LogoutRequest},
        token::{Resource, UserInfo, claimed_tenant, verify_access},
    },
};

/// How long discovery documents and keys may be cached: well within the time that a new key is published before it signs.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=3600");

async fn tenant(visit: &Visit, authority: &str) -> Result<Arc<TenantView>, Code> {
    let sources = Sources { path: Some(authority), query: None, ..Sources::default() };
    visit.vestibule.directory.context(sources).await
}

/// A tenant that may be suspended: its keys go on verifying, and signing out goes on working.
async fn any_tenant(visit: &Visit, authority: &str) -> Result<Arc<TenantView>, Code> {
    let sources = Sources { path: Some(authority), query: None, ..Sources::default() };
    visit.vestibule.directory.context_even_suspended(sources).await
}

/// The discovery document, at all its locations. Its issuer always names the tenant by id.
pub async fn discovery(State(_): State<Arc<Vestibule>>, Path(authority): Path<String>, visit: Visit) -> Response {
    match any_tenant(&visit, &authority).await {
        Ok(view) => {
            let endpoints = Endpoints::new(view.keys.issuer().clone());
            let languages: Vec<_> = Language::ALL.iter().filter_map(|language| language.tag().parse().ok()).collect();
            cacheable(Json(endpoints.metadata(&languages)).into_response())
        }
        Err(code) => visit.problem(code),
    }
}

/// The tenant's public keys.
pub async fn keys(State(_): State<Arc<Vestibule>>, Path(authority): Path<String>, visit: Visit) -> Response {
    match any_tenant(&visit, &authority).await {
        Ok(view) => cacheable(Json(view.keys.jwks(visit.vestibule.foundation.now())).into_response()),
        Err(code) => visit.problem(code),
    }
}

fn cacheable(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Public documents: any page may read them.
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// `GET` of the authorization endpoint.
pub async fn authorize(State(_): State<Arc<Vestibule>>, Path(authority): Path<String>, visit: Visit) -> Response {
    let query = visit.query().unwrap_or_default().to_owned();
    begin(visit, &authority, query.as_bytes()).await
}

/// `POST` of the authorization endpoint. A form from another site brings no cookies (`SameSite=Lax`), so nothing can be
/// known of the browser yet: it is sent back to ask by `GET`, which brings them (checklist C-18).
pub async fn authorize_posted(
    State(_): State<Arc<Vestibule>>,
    Path(authority): Path<String>,
    visit: Visit,
    body: Bytes,
) -> Response {
    ask_by_get(&visit, &format!("/{authority}/oauth2/v2.0/authorize"), &body)
}

/// The same request as a `GET`, if it fits into a URL.
fn ask_by_get(visit: &Visit, path: &str, body: &[u8]) -> Response {
    const LONGEST: usize = 8 << 10;
    let plain = body.iter().all(|byte| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(byte));
    match std::str::from_utf8(body) {
        Ok(query) if plain && path.len() + query.len() < LONGEST => see_other(&format!("{path}?{query}")),
        Ok(_) if plain => visit.refuse(Code::RequestTooLarge),
        _ => visit.refuse(Code::RequestInvalid),
    }
}

async fn begin(visit: Visit, authority: &str, input: &[u8]) -> Response {
    let view = match links::context(&visit, Some(authority)).await {
        Ok(view) => view,
        Err(code) => return links::refuse_link(&visit, code),
    };
    let raw = RawAuthorize::parse(input);
    let app = match raw.client_id() {
        Ok(id) => view.apps.get(&id),
        Err(error) => return visit.refuse_in(Some(&view), error.code),
    };
    let asking = app.map(|app| app.id);
    let bound = match raw.bind(app) {
        Ok(bound) => bound,
        Err(error) => return visit.refuse_in(Some(&view), error.code),
    };
    let session = browser::session(&visit.headers, view.tenant.id, &visit.vestibule);
    let request = match bound.validate(view.keys.public(), visit.vestibule.foundation.now()) {
        Ok(request) => request,
        Err(error) => {
            let answer = error.response(view.keys.issuer());
            return match answer {
                // Nobody is signed in: a page first, so that our links cannot be used to send people anywhere (S-25).
                AuthorizationResponse::Redirect { location } if session.is_none() && !error.is_silent() => {
                    let mut refusal = Refusal::new(visit.chrome(Some(&view), None), error.code());
                    refusal.go_on = Some(location.into());
                    refusal.contact = super::visit::contact(&view);
                    visit.refuse_with(refusal)
                }
                AuthorizationResponse::Redirect { location } => see_other(&location),
                AuthorizationResponse::FormPost { .. } if session.is_none() && !error.is_silent() => {
                    visit.refuse_in(Some(&view), error.code())
                }
                form => match asking {
                    Some(app) => answer_client(visit.chrome(Some(&view), None), &view, app, form),
                    None => visit.refuse_in(Some(&view), error.code()),
                },
            };
        }
    };
    let open = links::start(visit, view, request, session);
    decide_at_once(open).await
}

/// Answers a request whose person has nothing left to do, without a page and without a write.
async fn decide_at_once(mut open: Open) -> Response {
    let loaded = match open.load().await {
        Ok(loaded) => loaded,
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    let facts = loaded.facts(&open.view, &open.journey, &open.languages.wished);
    let Some(request) = &open.journey.request else { return open.go_on() };
    let issuer = open.view.keys.issuer();
    let answer = match (settle(&facts), &loaded.session) {
        (Ok(settled), Some(session)) => match tokens::issue_code(open.vestibule(), &open.view, request, session, &settled) {
            Some(code) => request.success(&code, issuer),
            None => return open.visit.refuse_in(Some(&open.view), Code::Internal),
        },
        (Err(step), _) if request.is_silent() => request.refuse(journey::silent_refusal(&step)).response(issuer),
        _ => return open.go_on(),
    };
    match answer {
        AuthorizationResponse::Redirect { location } => see_other(&location),
        form => answer_client(open.chrome(Some(&loaded)), &open.view, request.app, form),
    }
}

/// The token endpoint.
pub async fn token(State(_): State<Arc<Vestibule>>, Path(authority): Path<String>, visit: Visit, body: Bytes) -> Response {
    let view = match tenant(&visit, &authority).await {
        Ok(view) => view,
        Err(code) => return token_error(&visit, code),
    };
    let form = visit.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !form.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
        return token_error(&visit, Code::RequestInvalid);
    }
    let authorization = match visit.headers.get(header::AUTHORIZATION).map(HeaderValue::to_str).transpose() {
        Ok(authorization) => authorization,
        Err(_) => return token_error(&visit, Code::ClientAuthentication),
    };
    crate::crash::point("code-received");
    let answer = match TokenRequest::parse(&body, authorization) {
        Ok(request) => tokens::answer(&visit.vestibule, &view, request).await,
        Err(code) => Err(code),
    };
    match answer {
        Ok(tokens) => no_store(Json(tokens).into_response()),
        Err(code) => token_error(&visit, code),
    }
}

/// An error of the token endpoint (RFC 6749 section 5.2). Programs branch on `error`; the code is for people.
fn token_error(visit: &Visit, code: Code) -> Response {
    metrics::counter!("vestibule_refusals_total", "code" => code.to_string()).increment(1);
    tracing::info!(%code, trace = visit.trace.0, "token request refused: {}", code.sentence());
    let status = match code.oauth() {
        OAuthError::InvalidClient => StatusCode::UNAUTHORIZED,
        _ if code.status().is_server_error() => code.status(),
        OAuthError::InvalidRequest if code.status() == StatusCode::NOT_FOUND => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_REQUEST,
    };
    let body = serde_json::json!({
        "error": code.oauth().as_str(),
        "error_description": format!("{code}: {}", code.sentence()),
        "error_codes": [code.number()],
        "trace_id": visit.trace.0,
    });
    let mut response = no_store((status, Json(body)).into_response());
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"vestibule\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Userinfo, by GET or POST, with the token in the header.
pub async fn userinfo(State(_): State<Arc<Vestibule>>, Path(authority): Path<String>, visit: Visit) -> Response {
    let view = match tenant(&visit, &authority).await {
        Ok(view) => view,
        Err(code) => return visit.problem(code),
    };
    let Some(token) = bearer(&visit) else { return not_with_this_token(&visit, Code::TokenInvalid, "Bearer") };
    let now = visit.vestibule.foundation.now();
    let Ok(verified) = verify_access(view.keys.public(), token, Resource::UserInfo, now, SignedDuration::ZERO) else {
        if let Some(of) = claimed_tenant(token).filter(|of| *of != view.tenant.id) {
            // For both: whose it says it is, and where it was presented (checklist W-02).
            tracing::info!(claimed_tenant = %of, tenant = %view.tenant.id, trace = visit.trace.0, "a token of another tenant was refused");
        }
        return not_with_this_token(&visit, Code::TokenInvalid, "Bearer error=\"invalid_token\"");
    };
    match tokens::check_person(&visit.vestibule, &view, verified.claims()).await {
        Ok(_) => no_store(Json(UserInfo::of(&verified)).into_response()),
        Err(code) => not_with_this_token(&visit, code, "Bearer error=\"invalid_token\""),
    }
}

/// Refuses a token. Without one there is nothing to be wrong with it (RFC 6750 section 3.1).
fn not_with_this_token(visit: &Visit, code: Code, challenge: &'static str) -> Response {
    let mut response = no_store(visit.problem(code));
    if code == Code::TokenInvalid {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

fn bearer(visit: &Visit) -> Option<&str> {
    let (scheme, token) = visit.headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The end-session endpoint by `GET`: a page with one button. Signing out is a change, and a GET changes nothing.
pub async fn logout(State(_): State<Arc<Vestibule>>, Path(authority): Path<String>, visit: Visit) -> Response {
    let query = visit.query().unwrap_or_default().to_owned();
    sign_out(visit, &authority, query.as_bytes(), false).await
}

/// The end-session endpoint by `POST`: from our own page it signs out; from anywhere else it asks by `GET`, since a form of
/// another site brings no cookies and proves nothing (checklist S-47).
pub async fn logout_posted(
    State(_): State<Arc<Vestibule>>,
    Path(authority): Path<String>,
    visit: Visit,
    body: Bytes,
) -> Response {
    let view = match any_tenant(&visit, &authority).await {
        Ok(view) => view,
        Err(code) => return visit.refuse(code),
    };
    let session = browser::session(&visit.headers, view.tenant.id, &visit.vestibule);
    let foundation = &visit.vestibule.foundation;
    let confirmed = super::form::Form::parse(&body)
        .is_ok_and(|form| form.get("csrf").is_some_and(|token| session::is_form_token(foundation, session.as_ref(), token)));
    if confirmed {
        let query = visit.query().unwrap_or_default().to_owned();
        return sign_out(visit, &authority, query.as_bytes(), true).await;
    }
    ask_by_get(&visit, visit.path(), &body)
}

async fn sign_out(visit: Visit, authority: &str, query: &[u8], confirmed: bool) -> Response {
    let view = match any_tenant(&visit, authority).await {
        Ok(view) => view,
        Err(code) => return visit.refuse(code),
    };
    let foundation = &visit.vestibule.foundation;
    let request = match LogoutRequest::parse(query, view.keys.public(), foundation.now()) {
        Ok(request) => request,
        Err(code) => return visit.refuse_in(Some(&view), code),
    };
    let session = browser::session(&visit.headers, view.tenant.id, &visit.vestibule);
    let app = request.app().and_then(|app| view.apps.get(&app));
    let then = match request.decide(app, session.as_ref().map(|session| session.id)) {
        LogoutDecision::Refuse(code) => return visit.refuse_in(Some(&view), code),
        LogoutDecision::SignOut { then, .. } | LogoutDecision::Confirm { then } => then,
    };
    if session.is_some() && !confirmed {
        let mut chrome = visit.chrome(Some(&view), None);
        chrome.csrf = session::form_token(foundation, session.as_ref());
        let action = format!("/{}/oauth2/v2.0/logout{}", view.tenant.id, kept_query(&visit));
        let page = SignOutConfirm {
            chrome,
            app: app.map(|app| app.display_name.clone()),
            action: action.into(),
            stay: urls::Path::Panel(view.tenant.id).to_string().into(),
        };
        return page.into_response();
    }
    let page = links::end_session(&visit, &view, session.as_ref()).await;
    match then {
        Some(location) if page.status().is_success() => {
            let leaving = Leaving {
                chrome: visit.chrome(Some(&view), None),
                destination: super::pages::Destination::AfterSignOut,
                name: app.map(|app| app.display_name.clone()).unwrap_or_default(),
                to: location.into(),
            };
            let mut cookies = browser::Cookies::default();
            if session.is_some() {
                cookies.drop_session(view.tenant.id);
            }
            cookies.onto(leaving.into_response())
        }
        _ => page,
    }
}

/// The request's query, to be asked again when the person agreed.
fn kept_query(visit: &Visit) -> String {
    visit.query().map(|query| format!("?{query}")).unwrap_or_default()
}
