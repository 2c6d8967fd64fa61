//! Which path leads to which handler, and what every request passes before it gets there.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    assets, documents, errands, federation, graph, invitations, journey, links, live, oidc,
    urls::routes,
    visit::{TraceId, Visit, path_for_the_log, see_other},
};
use crate::{domain::WebUrl, error::Code, flows::Vestibule, store::records};

/// All routes of the provider.
pub fn router(directory: &graph::DirectoryApi) -> Router {
    let vestibule = Arc::clone(directory.vestibule());
    // Pages, which browsers show and which carry cookies: never framed, never posted to by other sites.
    let pages: Router<Arc<Vestibule>> = Router::new()
        .route(routes::ROOT, get(links::root))
        .route(routes::PANEL, get(links::panel))
        .route(routes::SIGN_IN, get(links::sign_in))
        .route(routes::SIGN_IN_BY_AUTHORITY, get(links::sign_in_by_authority))
        .route(routes::API_SIGN_IN, get(links::api_sign_in))
        .route(routes::REDEEM, get(invitations::redeem))
        .route(routes::REDEEM_2019, get(invitations::redeem))
        .route(routes::LEAVE, get(errands::leave))
        .route(routes::BLOCK_INVITATIONS, get(errands::block_invitations))
        .route(routes::SEND_AGAIN, get(errands::send_again))
        .route(routes::JOURNEY, get(journey::show))
        .route(routes::FORM, post(journey::post))
        .route(routes::DOCUMENT, get(documents::document))
        .route(routes::CALLBACK, get(federation::callback))
        .route(routes::SIGN_OUT, post(links::sign_out))
        .layer(middleware::from_fn_with_state(Arc::clone(&vestibule), same_site_only));
    // Pages that other sites may post to; what they then do is guarded by tokens of their own.
    let entrances = Router::new()
        .route(routes::AUTHORIZE, get(oidc::authorize).post(oidc::authorize_posted))
        .route(routes::LOGOUT, get(oidc::logout).post(oidc::logout_posted));
    let shown = pages.merge(entrances).layer(middleware::from_fn_with_state(Arc::clone(&vestibule), never_framed));
    // For programs, without cookies.
    let programs = Router::new()
        .route(routes::TOKEN, post(oidc::token))
        .route(routes::USERINFO, get(oidc::userinfo).post(oidc::userinfo))
        .route(routes::KEYS, get(oidc::keys))
        .route(routes::OPENID_CONFIGURATION, get(oidc::discovery))
        .route(routes::AUTHORIZATION_SERVER, get(oidc::discovery))
        .route(routes::OPENID_CONFIGURATION_8414, get(oidc::discovery))
        .route(routes::LIVE_FEED, get(live::feed))
        .route(routes::LOGO, get(documents::logo))
        .merge(assets::routes())
        .merge(graph::routes(directory));
    shown
        .merge(programs)
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing_here)
        .layer(middleware::from_fn_with_state(Arc::clone(&vestibule), right_host))
        // Whoever asks whether the server is well may ask under any name.
        .route(routes::HEALTHZ, get(|| async { "ok\n" }))
        .route(routes::READYZ, get(ready))
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(middleware::from_fn_with_state(Arc::clone(&vestibule), traced))
        .with_state(vestibule)
}

/// Draws the name under which the log tells of a request.
async fn traced(State(vestibule): State<Arc<Vestibule>>, mut request: Request, next: Next) -> Response {
    let trace = TraceId::draw(&*vestibule.foundation.entropy);
    // The directory API tells by itself which route was taken.
    let path = path_for_the_log(request.uri().path()).to_owned();
    let method = request.method().clone();
    request.extensions_mut().insert(trace.clone());
    let mut response = next.run(request).await;
    tracing::debug!(%method, path, status = response.status().as_u16(), trace = trace.0, "answered");
    if let Ok(value) = HeaderValue::from_str(&trace.0) {
        response.headers_mut().insert("x-trace-id", value);
    }
    response
}

fn panicked() -> http::Response<Body> {
    tracing::error!("a handler panicked");
    let body = format!("{}\n{}\n{}\n", Code::Internal, Code::Internal.sentence(), Code::Internal.next_step());
    (StatusCode::INTERNAL_SERVER_ERROR, [(header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// The server answers under the name it has: a link that was made from any other `Host` would be somebody else's. A host
/// that a tenant has claimed is an entrance: it leads to the same link under our own name, where the cookies are.
async fn right_host(State(vestibule): State<Arc<Vestibule>>, request: Request, next: Next) -> Response {
    // HTTP/2 has it in `:authority` (RFC 9113 section 8.3.1); where both are there, the front has seen that they agree.
    let field = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = field.or_else(|| Some(request.uri().authority()?.as_str())).and_then(host_name);
    if host.as_deref().is_some_and(|host| vestibule.is_public_host(host)) {
        return next.run(request).await;
    }
    let (parts, _) = request.into_parts();
    let visit = Visit::of(&parts, &vestibule);
    let claimed = match host {
        Some(host) => vestibule.directory.host(&host).await,
        None => Ok(None),
    };
    match claimed {
        Ok(Some(tenant)) if matches!(parts.method, http::Method::GET | http::Method::HEAD) => {
            let base = vestibule.public_url().as_str().trim_end_matches('/');
            let separator = if visit.query().is_some() { '&' } else { '?' };
            // Named once more, so that a link which names another tenant is refused like any that disagrees with itself.
            see_other(&format!("{base}{}{separator}tenantid={tenant}", visit.target))
        }
        Ok(_) => visit.refuse(Code::HostUnknown),
        Err(error) => visit.refuse(error.refusal()),
    }
}

/// The host of a `Host` field, without its port, in lower case.
fn host_name(field: &str) -> Option<String> {
    let authority: http::uri::Authority = field.parse().ok()?;
    Some(authority.host().to_ascii_lowercase())
}

/// State-changing requests come from our own pages (Fetch Metadata; `Origin` where a browser does not say).
///
/// Our pages send no referrer, so some browsers send `Origin: null` from them: where `Sec-Fetch-Site` speaks, it counts.
async fn same_site_only(State(vestibule): State<Arc<Vestibule>>, request: Request, next: Next) -> Response {
    if request.method() != http::Method::POST || is_from_our_pages(request.headers(), vestibule.public_url()) {
        return next.run(request).await;
    }
    let (parts, _) = request.into_parts();
    Visit::of(&parts, &vestibule).refuse(Code::CrossSite)
}

fn is_from_our_pages(headers: &HeaderMap, ours: &WebUrl) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin == ours.origin(),
        // No browser: whoever it is has no cookie that it did not take itself, and needs the form's token anyway.
        (None, None) => true,
    }
}

/// Pages are never shown inside other pages (checklist S-64).
async fn never_framed(State(vestibule): State<Arc<Vestibule>>, request: Request, next: Next) -> Response {
    let dest = request.headers().get("sec-fetch-dest").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if matches!(dest, "iframe" | "frame" | "object" | "embed" | "fencedframe") {
        let (parts, _) = request.into_parts();
        return Visit::of(&parts, &vestibule).refuse_as_page(Code::Framed);
    }
    next.run(request).await
}

async fn wrong_method(visit: Visit) -> Response {
    visit.refuse(Code::MethodRefused)
}

async fn nothing_here(visit: Visit) -> Response {
    visit.refuse(Code::PathUnknown)
}

/// Whether the server can serve: the store answers, and the news are fresh.
async fn ready(visit: Visit) -> Response {
    use crate::live::Live;
    let vestibule = &visit.vestibule;
    if vestibule.draining.is_cancelled() {
        return visit.problem(Code::Draining);
    }
    if !vestibule.live.fresh(vestibule.foundation.now()) {
        return visit.problem(Code::LiveStale);
    }
    match vestibule.foundation.store.get(&records::key_ring()).await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => visit.problem(error.refusal()),
    }
}

/// The answer to what the front refuses before anybody looked at it: a page for people, a problem document for programs, the
/// envelope of the directory API for its callers.
#[must_use]
pub fn refuse_at_the_front(vestibule: &Arc<Vestibule>, parts: &Parts, code: Code) -> Response {
    let visit = Visit::of(parts, vestibule);
    let mut response = visit.refuse(code);
    if let Ok(value) = HeaderValue::from_str(&visit.trace.0) {
        response.headers_mut().insert("x-trace-id", value);
    }
    if code == Code::HeadersTooLarge {
        // Somebody may have filled this browser with cookies of ours; it could not get rid of them by itself.
        response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cookies\""));
    }
    response
}
