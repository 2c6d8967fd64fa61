//! A bare hyper service whose guests sign in at a Vestibule server.
//!
//!     hyper_service ISSUER CLIENT_ID [APP_URL]      with the client secret in CLIENT_SECRET
//!
//! Register `{APP_URL}/.vestibule/callback` as the app's redirect URI. Listens on the port of APP_URL
//! (`http://localhost:8082` unless given), on loopback only.

use std::{convert::Infallible, env, error::Error};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};
use vestibule::{
    domain::WebUrl,
    layer::{Guest, GuestLayer, RemoteConfig},
    secret::Secret,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(issuer), Some(client_id)) = (args.next(), args.next()) else { return Err("ISSUER CLIENT_ID [APP_URL]".into()) };
    let app_url: WebUrl = args.next().unwrap_or("http://localhost:8082".into()).parse()?;
    #[expect(clippy::disallowed_methods, reason = "a program reads its own environment")]
    let secret = Secret::new(env::var("CLIENT_SECRET")?);

    let port = app_url.as_url().port_or_known_default().unwrap_or(8082);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let guests = GuestLayer::remote(RemoteConfig::new(issuer.parse()?, client_id.parse()?, secret, app_url))?;
    let service = ServiceBuilder::new().layer(guests).service(service_fn(hello));
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = request.extensions().get::<Guest>().and_then(Guest::name).unwrap_or("guest");
    let mut answer = Response::new(Full::from(format!("Hello, {name}\n")));
    // A name is somebody else's text: never to be taken for HTML.
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(answer)
}
