//! The app of the demo: a few lines of axum behind the remote layer, on a port of its own.

use axum::{
    Router,
    response::{Html, Redirect},
    routing::get,
};
use tokio_util::sync::CancellationToken;

pub(super) use crate::layer::{CALLBACK, SIGNED_OUT};
use crate::{
    domain::{AppId, WebUrl, user::UserType},
    http::front,
    layer::{Guest, GuestLayer, RemoteConfig},
    oidc::Issuer,
    secret::Secret,
};

/// What the app is told.
pub(super) struct Settings {
    pub(super) issuer: Issuer,
    pub(super) client_id: AppId,
    pub(super) client_secret: Secret,
    pub(super) app_url: WebUrl,
    pub(super) server: WebUrl,
}

/// Serves the app until `stop`.
pub(super) async fn serve(listeners: Vec<front::Listener>, settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let Settings { issuer, client_id, client_secret, app_url, server } = settings;
    let panel = format!("{}{}", server, issuer.tenant());
    let app = Router::new()
        .route("/", get(move |guest: Guest| page(guest, panel)))
        .route("/reports/{month}", get(report))
        .route("/favicon.ico", get(|| async { Redirect::permanent("/") }))
        .layer(GuestLayer::remote(RemoteConfig::new(issuer, client_id, client_secret, app_url))?);
    front::serve(listeners, app, front::FrontConfig::default(), stop.cancelled()).await;
    Ok(())
}

async fn page(guest: Guest, panel: String) -> Html<String> {
    let relation = if guest.user_type() == UserType::Guest { "guest of Contoso" } else { "member of Contoso" };
    Html(shell(&format!(
        "<h1 id=\"greeting\">Hello, {name}</h1>\
         <p>You are signed in as <strong id=\"account\">{email}</strong>, {relation}.</p>\
         <ul class=\"cards\">\
         <li><a href=\"/reports/2026-10\">October 2026</a><span>4 receipts, 312.40 €, paid back</span></li>\
         <li><a href=\"/reports/2026-11\">November 2026</a><span>2 receipts, 86.15 €, open</span></li></ul>\
         <p class=\"links\"><a href=\"{panel}\">All apps that Contoso shares with you</a></p>\
         <form method=\"post\" action=\"/.vestibule/sign-out\"><button id=\"sign-out\">Sign out</button></form>",
        name = escaped(guest.name().unwrap_or("guest")),
        email = escaped(guest.email().unwrap_or_default()),
        panel = escaped(&panel),
    )))
}

async fn report(guest: Guest, axum::extract::Path(month): axum::extract::Path<String>) -> Html<String> {
    Html(shell(&format!(
        "<h1>Report {month}</h1><p>Handed in by <strong>{name}</strong>.</p><p class=\"links\"><a href=\"/\">Back to all reports</a></p>",
        month = escaped(&month),
        name = escaped(guest.name().unwrap_or("guest")),
    )))
}

fn shell(body: &str) -> String {
    const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f3f6fa;color:#1b2430}\
        header{background:#0b5cad;color:#fff;padding:1rem 1.5rem;font-weight:600}main{max-width:40rem;margin:2.5rem auto;padding:0 1.5rem}\
        h1{font-size:1.9rem;margin:0 0 .5rem}.cards{list-style:none;padding:0;display:grid;gap:.75rem;margin:1.5rem 0}\
        .cards li{background:#fff;border:1px solid #d9e1ea;border-radius:.6rem;padding:1rem 1.2rem;display:flex;justify-content:space-between;gap:1rem;flex-wrap:wrap}\
        a{color:#0b5cad}button{font:inherit;padding:.5rem 1.1rem;border:1px solid #0b5cad;border-radius:.5rem;background:#fff;color:#0b5cad;cursor:pointer}\
        @media (prefers-color-scheme:dark){body{background:#10161d;color:#e6ebf1}.cards li,button{background:#18212b;border-color:#2c3947}a,button{color:#7db8ef}}";
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Expenses</title><style>{STYLE}</style></head><body><header>Contoso Expenses</header><main>{body}</main></body></html>"
    )
}

/// Text for HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
