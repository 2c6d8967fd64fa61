//! The live feed for doors elsewhere: `GET /<tenant>/live/v1/feed`, lines of JSON that never end.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use http::{HeaderValue, header};

use super::visit::Visit;
use crate::{
    domain::{AppId, link::Sources},
    error::Code,
    flows::{Vestibule, directory::TenantView},
    live::Position,
    oidc::grant::{TokenRequest, authenticate},
};

/// How often a quiet feed says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Streams what the tenant's doors must know to one of its apps, which authenticates as at the token endpoint.
pub async fn feed(State(_): State<Arc<Vestibule>>, Path(authority): Path<String>, visit: Visit) -> Response {
    let view =
        match visit.vestibule.directory.context_even_suspended(Sources { path: Some(&authority), ..Sources::default() }).await {
            Ok(view) => view,
            Err(code) => return visit.problem(code),
        };
    let Some(app) = authenticated(&visit, &view) else { return unauthenticated(&visit) };
    let tenant = view.tenant.id;
    let feed = visit.vestibule.feed.subscribe(tenant, app, position(&visit));
    let visit = Arc::new(visit);
    let ticks = tokio::time::interval(HEARTBEAT);
    let lines = stream::unfold((feed, ticks), move |(mut feed, mut ticks)| {
        let visit = Arc::clone(&visit);
        async move {
            let vestibule = &visit.vestibule;
            loop {
                tokio::select! {
                    biased;
                    line = feed.next() => {
                        let line = line.ok()?;
                        return Some((Ok::<_, std::convert::Infallible>(Bytes::from(line.to_wire())), (feed, ticks)));
                    }
                    _ = ticks.tick() => {
                        // Asked again each time: a secret may have been replaced, an app switched off.
                        let view = vestibule.directory.tenant(tenant).await.ok()??;
                        if authenticated(&visit, &view) != Some(app) {
                            return None;
                        }
                        if let Some(line) = feed.heartbeat(vestibule.foundation.now()) {
                            return Some((Ok(Bytes::from(line.to_wire())), (feed, ticks)));
                        }
                    }
                    () = vestibule.draining.cancelled() => return None,
                }
            }
        }
    });
    let mut response = Body::from_stream(lines).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The app that a request is from, which authenticates as at the token endpoint.
fn authenticated(visit: &Visit, view: &TenantView) -> Option<AppId> {
    let authorization = visit.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // The credentials of a client-credentials request, without the rest of one.
    let request = TokenRequest::parse(b"grant_type=client_credentials&scope=-", authorization).ok()?;
    let client = authenticate(view.apps.get(&request.credentials.id), &request.credentials).ok()?;
    client.confidential().map(|app| app.id)
}

fn unauthenticated(visit: &Visit) -> Response {
    let mut response = visit.problem(Code::ClientAuthentication);
    let challenge = HeaderValue::from_static("Basic realm=\"vestibule\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// Where the reader was, if it says so.
fn position(visit: &Visit) -> Option<Position> {
    let query = visit.query()?;
    let value = |name: &str| url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
    let stream = serde_json::from_value(value("stream")?.into()).ok()?;
    Some(Position { stream, seq: value("after")?.parse().ok()? })
}
