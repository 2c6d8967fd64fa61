//! The directory API under `/v1.0`: resources, names and answers of Microsoft Graph, so that its SDKs work with another address.
//!
//! A request passes, in this order: its token (`auth`), the limits of its app (`limits`), the `table` that says which
//! permission its route needs, the form of its body, and the handler of the resource. A batch sends each of its items the same
//! way. The tenant comes from the token and from nothing else, and no cookie is looked at.

mod answer;
mod apps;
mod assignments;
mod audits;
mod auth;
mod batch;
mod call;
mod deleted;
mod invitation_state;
mod invitations;
mod limits;
mod listing;
mod openapi;
mod operator;
mod organization;
mod route;
mod sponsors;
mod table;
mod tenants;
mod user_change;
mod user_entity;
mod users;

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    response::Response,
    routing::any,
};
use http::{Method, StatusCode};
use serde_json::Value;

use super::{
    front::BodyLimit,
    urls::routes::{DIRECTORY_API, DIRECTORY_API_ROOT},
    visit::Visit,
};
use crate::{
    error::Code,
    flows::Vestibule,
    odata::{Answer, Error, error::About, query},
};
pub(super) use answer::{is_about, refuse};
use auth::Caller;
use call::{Asked, Call};
use limits::Limits;
use route::{Found, Needs, Route, Run};

/// The largest body, in bytes: a batch of twenty invitations with the longest messages.
const BODY_MAX: u64 = 1 << 20;

/// What all requests to the directory API share.
struct Api {
    vestibule: Arc<Vestibule>,
    limits: Limits,
    /// The root as clients see it: `https://HOST/v1.0`.
    service: String,
    /// The OpenAPI document.
    document: Value,
}

/// The directory API of a server, made once: whichever door a request comes through, it counts for the same limits. Cheap to
/// clone.
#[derive(Clone)]
pub struct DirectoryApi(Arc<Api>);

impl std::fmt::Debug for DirectoryApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DirectoryApi")
    }
}

impl DirectoryApi {
    /// The directory API of a server.
    #[must_use]
    pub fn new(vestibule: &Arc<Vestibule>) -> Self {
        Self(Arc::new(Api::new(vestibule)))
    }

    /// The server.
    #[must_use]
    pub fn vestibule(&self) -> &Arc<Vestibule> {
        &self.0.vestibule
    }
}

/// The routes of the directory API.
pub(super) fn routes(DirectoryApi(api): &DirectoryApi) -> Router<Arc<Vestibule>> {
    let api = Arc::clone(api);
    let entry = any(move |State(_): State<Arc<Vestibule>>, request: Request| entry(Arc::clone(&api), request));
    let routes = Router::new().route(DIRECTORY_API_ROOT, entry.clone()).route(DIRECTORY_API, entry);
    routes.layer(BodyLimit(BODY_MAX))
}

async fn entry(api: Arc<Api>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let visit = Visit::of(&parts, &api.vestibule);
    let answered = match read(body).await {
        Ok(body) => api.serve(&visit, Asked::of(&visit, body)).await,
        Err(error) => Err(error),
    };
    answer::respond(&visit, answered)
}

/// The whole body; what the front cut off, it answers itself.
async fn read(body: Body) -> Result<Bytes, Error> {
    let most = usize::try_from(BODY_MAX).unwrap_or(usize::MAX);
    to_bytes(body, most).await.map_err(|_| Error::from(Code::BodyTooLarge))
}

impl Api {
    fn new(vestibule: &Arc<Vestibule>) -> Self {
        let service = format!("{}{DIRECTORY_API_ROOT}", vestibule.public_url().as_str().trim_end_matches('/'));
        Self {
            limits: Limits::new(Arc::clone(&vestibule.foundation.clock)),
            document: openapi::document(&service),
            service,
            vestibule: Arc::clone(vestibule),
        }
    }

    /// Serves a request as it came over the wire.
    async fn serve(self: &Arc<Self>, visit: &Visit, asked: Asked) -> Result<Answer, Error> {
        let found = route::find(&asked.method, &asked.path);
        if let Ok((Route { needs: Needs::Nothing, run: Run::Document, .. }, _)) = found {
            query::refuse_options(&asked.query)?;
            return Ok(self.document());
        }
        let caller = Arc::new(auth::authenticate(&self.vestibule, &visit.headers, &visit.trace).await?);
        self.serve_to(&caller, visit, found, asked).await
    }

    fn document(&self) -> Answer {
        Answer::json(StatusCode::OK, self.document.clone())
    }

    /// Serves a request of a caller who is known, a batch too.
    async fn serve_to(
        self: &Arc<Self>,
        caller: &Arc<Caller>,
        visit: &Visit,
        found: Found,
        asked: Asked,
    ) -> Result<Answer, Error> {
        match found {
            Ok((Route { run: Run::Batch, .. }, _)) => batch::run(self, visit, caller, &asked).await,
            found => self.run(visit, caller, found, asked).await,
        }
    }

    /// Serves one request of a caller who is known: its own, or an item of their batch.
    async fn run(self: &Arc<Self>, visit: &Visit, caller: &Arc<Caller>, found: Found, asked: Asked) -> Result<Answer, Error> {
        let method = asked.method.clone();
        let found = self.limits.admit(caller).and(found);
        let path = found.as_ref().map_or("", |(route, _)| route.path);
        let answered = match found {
            Ok((route, parameters)) => self.run_route(caller, route, parameters, asked).await,
            Err(error) => Err(error),
        };
        tell(visit, caller, &method, path, &answered);
        answered
    }

    async fn run_route(
        self: &Arc<Self>,
        caller: &Arc<Caller>,
        route: &'static Route,
        parameters: Vec<String>,
        asked: Asked,
    ) -> Result<Answer, Error> {
        caller.check(&route.needs)?;
        if asked.method != Method::GET {
            query::refuse_options(&asked.query)?;
        }
        if route.mails {
            self.limits.admit_invitation(caller)?;
        }
        let body = asked.json(route)?;
        let call = Call {
            api: Arc::clone(self),
            caller: Arc::clone(caller),
            parameters,
            query: asked.query,
            headers: asked.headers,
            body,
        };
        match route.run {
            Run::Handler(handler) => handler(call).await,
            Run::Document => query::refuse_options(&call.query).map(|()| self.document()),
            Run::Batch => Err(batch::nested()),
        }
    }
}

/// Every decision, with the tenant that acted and was acted on: they are the same, since both are the token's (checklist W-02).
fn tell(visit: &Visit, caller: &Caller, method: &Method, route: &str, answered: &Result<Answer, Error>) {
    let status = answered.as_ref().map_or_else(Error::status, |answer| answer.status).as_u16();
    let (tenant, app, user) =
        (caller.tenant(), caller.app().map(tracing::field::display), caller.user().map(tracing::field::display));
    tracing::info!(%tenant, app, user, %method, route, status, trace = visit.trace.0, "directory API");
    metrics::counter!("vestibule_directory_requests_total", "status" => status.to_string()).increment(1);
}

/// Of which request an envelope speaks.
fn about(visit: &Visit) -> About<'_> {
    let client_request_id = visit.headers.get("client-request-id").and_then(|id| id.to_str().ok());
    let client_request_id = client_request_id.filter(|id| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_graphic()));
    About { request_id: &visit.trace.0, client_request_id, date: visit.vestibule.foundation.now() }
}
