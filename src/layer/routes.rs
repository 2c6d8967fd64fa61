//! The layer's own paths at the app: the return from sign-in, and signing in and out by hand.
//!
//! Everything below `/.vestibule/` is the layer's; the app never sees a request for it.

use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, ORIGIN, REFRESH},
    request::Parts,
};
use url::Url;

use super::{
    answer::{self, escape},
    attempt::Returned,
    bearer,
    guard::Guard,
    guest::Guest,
    return_to::ReturnTo,
};
use crate::{
    error::Code,
    oidc::{
        IdClaims, TokenError,
        jose::{Expected, MAX_LEEWAY, TokenKind},
        params::{Known, Params},
    },
    secret::{Secret, constant_time_eq},
};

/// Where the provider returns to: the app's registered redirect URI.
pub const CALLBACK: &str = "/.vestibule/callback";
/// Where a script sends a person to sign in; `?return_to=` names a page of the app.
pub(super) const SIGN_IN: &str = "/.vestibule/sign-in";
/// Signs out: a page by GET, the act by POST from a page of the app.
pub(super) const SIGN_OUT: &str = "/.vestibule/sign-out";
/// Where the provider returns to after signing out: to be registered as the app's post-logout redirect URI.
pub const SIGNED_OUT: &str = "/.vestibule/signed-out";

const CALLBACK_PARAMS: &[Known] = &[("code", 4096), ("state", 8192), ("iss", 2048), ("error", 256), ("error_description", 2048)];
const SIGN_IN_PARAMS: &[Known] = &[("return_to", 8192)];

/// Whether the layer itself answers on `path`.
pub(super) fn is_ours(path: &str) -> bool {
    path.starts_with("/.vestibule/")
}

/// Answers on one of the layer's paths.
pub(super) async fn answer(guard: &Guard, parts: &Parts) -> Response<String> {
    match (parts.uri.path(), &parts.method) {
        (CALLBACK, &Method::GET) => callback(guard, parts).await,
        (SIGN_IN, &Method::GET | &Method::HEAD) => sign_in(guard, parts).await,
        (SIGN_OUT, &Method::GET | &Method::HEAD) => confirm_sign_out(guard),
        (SIGN_OUT, &Method::POST) => sign_out(guard, parts).await,
        (SIGNED_OUT, &Method::GET | &Method::HEAD) => signed_out(guard),
        (CALLBACK, _) => method_refused(guard, parts, "GET"),
        (SIGN_IN | SIGNED_OUT, _) => method_refused(guard, parts, "GET, HEAD"),
        (SIGN_OUT, _) => method_refused(guard, parts, "GET, HEAD, POST"),
        _ => guard.refuse(parts, Code::PathUnknown),
    }
}

fn method_refused(guard: &Guard, parts: &Parts, allowed: &'static str) -> Response<String> {
    let mut response = guard.refuse(parts, Code::MethodRefused);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The return from the provider (OpenID Connect Core section 3.1.2.5, RFC 9207).
async fn callback(guard: &Guard, parts: &Parts) -> Response<String> {
    let now = guard.provider.clock().now();
    let mut params = Params::parse(parts.uri.query().unwrap_or_default().as_bytes(), CALLBACK_PARAMS);
    if let Some((code, _)) = params.fault() {
        return guard.refuse(parts, code);
    }
    let mut param = |name| params.take(name).unwrap_or_default();
    let state = param("state").unwrap_or_default();
    let returned = match guard.attempts.resume(&parts.headers, &state, now) {
        Ok(returned) => returned,
        // Somebody pressed "back", or another tab was quicker: who is in may go on.
        Err(_) if guard.signed_in(parts).is_some() => return answer::see_other(&ReturnTo::start().at(&guard.origin)),
        Err(code) => return guard.refuse(parts, code),
    };
    if param("iss").as_deref() != Some(guard.provider.issuer().as_str()) {
        // An answer of another provider (mix-up, RFC 9207 section 2.4): its code goes nowhere.
        return guard.refuse(parts, Code::JourneyLost);
    }
    if let Some(error) = param("error") {
        return guard.refuse(parts, provider_refusal(&error, &param("error_description").unwrap_or_default()));
    }
    let Some(code) = param("code") else { return guard.refuse(parts, Code::RequestInvalid) };
    match trade(guard, Secret::new(code), &returned).await {
        Ok(guest) => enter(guard, parts, &guest, &returned.return_to),
        // The page was loaded twice. The first time it worked.
        Err(Code::GrantInvalid) if guard.signed_in(parts).is_some() => answer::see_other(&returned.return_to.at(&guard.origin)),
        Err(code) => guard.refuse(parts, code),
    }
}

/// The code that a provider of ours names in `error_description`, or else the nearest to the OAuth error.
fn provider_refusal(error: &str, description: &str) -> Code {
    let named = description.split(':').next().unwrap_or_default();
    let ours = Code::ALL.iter().find(|code| code.to_string() == named).copied();
    ours.unwrap_or(match error {
        "access_denied" => Code::Cancelled,
        "temporarily_unavailable" => Code::StoreUnavailable,
        "server_error" => Code::Internal,
        _ => Code::RequestInvalid,
    })
}

/// Trades a code for the guest that it stands for.
async fn trade(guard: &Guard, code: Secret, returned: &Returned) -> Result<Guest, Code> {
    let provider = &*guard.provider;
    let verifier = returned.verifier.clone();
    let token = provider.exchange(guard.policy.app, code, verifier, &guard.redirect_uri()).await?;
    let mut verified = verify(guard, &token);
    if matches!(verified, Err(None | Some(TokenError::UnknownKey))) {
        provider.refresh_keys().await;
        verified = verify(guard, &token);
    }
    let claims = verified.map_err(|error| {
        tracing::warn!(?error, "the provider's ID token was refused");
        if error.is_none() { Code::LiveStale } else { Code::GrantInvalid }
    })?;
    let nonce = claims.nonce.as_deref().unwrap_or_default();
    if !constant_time_eq(nonce.as_bytes(), returned.nonce.as_bytes()) {
        tracing::warn!("the provider's ID token has another nonce");
        return Err(Code::GrantInvalid);
    }
    bearer::of_id(&claims).ok_or(Code::GrantInvalid)
}

/// Verifies an ID token (OpenID Connect Core section 3.1.3.7); `Err(None)` when there are no keys.
fn verify(guard: &Guard, token: &Secret) -> Result<IdClaims, Option<TokenError>> {
    let keys = guard.provider.keys().ok_or(None)?;
    let app = guard.policy.app.to_string();
    let now = guard.provider.clock().now();
    let expected = Expected { kind: TokenKind::Id, audience: Some(&app), now, leeway: MAX_LEEWAY, may_be_expired: false };
    Ok(keys.verify::<IdClaims>(token.expose(), &expected)?.into_claims())
}

/// Begins the app's session and goes to the page that was asked for.
fn enter(guard: &Guard, parts: &Parts, guest: &Guest, return_to: &ReturnTo) -> Response<String> {
    match guard.session.begin(guest, guard.provider.clock().now(), guard.provider.entropy()) {
        Ok(cookie) => {
            let mut response = answer::see_other(&return_to.at(&guard.origin));
            answer::set_cookie(&mut response, cookie);
            response
        }
        Err(error) => {
            tracing::error!(%error, "a session cannot be written");
            guard.refuse(parts, Code::Internal)
        }
    }
}

async fn sign_in(guard: &Guard, parts: &Parts) -> Response<String> {
    let mut params = Params::parse(parts.uri.query().unwrap_or_default().as_bytes(), SIGN_IN_PARAMS);
    let asked = params.take("return_to").ok().flatten();
    // What is no place in this app leads to its start page (checklist R-02).
    let return_to = asked.and_then(|text| ReturnTo::try_from(text).ok()).unwrap_or_else(ReturnTo::start);
    if guard.signed_in(parts).is_some() {
        return answer::see_other(&return_to.at(&guard.origin));
    }
    guard.lead(parts, return_to, Code::LoginRequired).await
}

fn confirm_sign_out(guard: &Guard) -> Response<String> {
    let content = format!(
        r#"<p>You will be signed out of this app and of the organisation's other apps.</p>
<form method="post" action="{SIGN_OUT}"><button class="button" id="sign-out">Sign out</button></form>
<p><a href="{}/">Stay signed in</a></p>"#,
        escape(&guard.origin)
    );
    answer::page(StatusCode::OK, "Sign out?", &content, guard.provider.entropy())
}

/// Ends the app's session in this browser and leads to the provider, which ends the sign-in itself.
async fn sign_out(guard: &Guard, parts: &Parts) -> Response<String> {
    if !from_own_page(guard, parts) {
        return guard.refuse(parts, Code::CrossSite);
    }
    let entropy = guard.provider.entropy();
    let mut response = match end_session_url(guard).await {
        Ok(url) => {
            // 200, not a redirect: a page's `form-action 'self'` would block one to another origin.
            let content = format!(r#"<p><a class="button" id="continue" href="{}">Continue</a></p>"#, escape(&url));
            let mut response = answer::page(StatusCode::OK, "Signing you out…", &content, entropy);
            answer::set(&mut response, REFRESH, &format!("0;url={url}"));
            response
        }
        // The app's session ends here; that the sign-in goes on has to be said (checklist G-15).
        Err(code) => guard.refuse(parts, code),
    };
    answer::set_cookie(&mut response, guard.session.end());
    response
}

/// Where the provider ends a sign-in (OpenID Connect RP-Initiated Logout section 2).
async fn end_session_url(guard: &Guard) -> Result<String, Code> {
    let after = format!("{}{SIGNED_OUT}", guard.origin);
    let Some(endpoint) = guard.provider.endpoints().await?.end_session else { return Ok(after) };
    let mut url = Url::parse(&endpoint).map_err(|_| Code::Internal)?;
    url.query_pairs_mut().append_pair("client_id", &guard.policy.app.to_string()).append_pair("post_logout_redirect_uri", &after);
    Ok(url.into())
}

/// Whether a form was sent from a page of this app (Fetch Metadata; `Origin` where a browser does not send that).
fn from_own_page(guard: &Guard, parts: &Parts) -> bool {
    let headers = &parts.headers;
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => headers.get(ORIGIN).is_some_and(|origin| origin == guard.origin.as_str()),
    }
}

fn signed_out(guard: &Guard) -> Response<String> {
    let content = format!(r#"<p><a class="button" id="continue" href="{}/">Sign in again</a></p>"#, escape(&guard.origin));
    answer::page(StatusCode::OK, "You are signed out", &content, guard.provider.entropy())
}
