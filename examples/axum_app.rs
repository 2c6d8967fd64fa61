//! An axum app whose guests sign in at a Vestibule server.
//!
//!     axum_app ISSUER CLIENT_ID [APP_URL]      with the client secret in CLIENT_SECRET
//!
//! Register `{APP_URL}/.vestibule/callback` as the app's redirect URI. Listens on the port of APP_URL
//! (`http://localhost:8081` unless given), on loopback only.

use std::{env, error::Error};

use axum::{Router, response::Html, routing::get};
use tokio::net::TcpListener;
use vestibule::{
    domain::WebUrl,
    layer::{Guest, GuestLayer, RemoteConfig},
    secret::Secret,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(issuer), Some(client_id)) = (args.next(), args.next()) else { return Err("ISSUER CLIENT_ID [APP_URL]".into()) };
    let app_url: WebUrl = args.next().unwrap_or("http://localhost:8081".into()).parse()?;
    #[expect(clippy::disallowed_methods, reason = "a program reads its own environment")]
    let secret = Secret::new(env::var("CLIENT_SECRET")?);

    let port = app_url.as_url().port_or_known_default().unwrap_or(8081);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;

    let guests = GuestLayer::remote(RemoteConfig::new(issuer.parse()?, client_id.parse()?, secret, app_url))?;
    let app = Router::new().route("/", get(hello)).route("/whoami", get(who_am_i)).layer(guests);
    Ok(axum::serve(listener, app).await?)
}

async fn hello(guest: Guest) -> Html<String> {
    let name = guest.name().unwrap_or("guest").replace('&', "&amp;").replace('<', "&lt;");
    Html(format!("<h1>Hello, {name}</h1><p><a href=\"/.vestibule/sign-out\">Sign out</a></p>"))
}

async fn who_am_i(guest: Guest) -> String {
    format!("{} of tenant {}\n", guest.id(), guest.tenant())
}
