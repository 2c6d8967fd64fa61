//! What answers until the server can: it listens from the first moment, and says that it is not ready.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, header, request::Parts};
use tower::{Service, ServiceExt};

use super::{
    front,
    graph::DirectoryApi,
    pages::{Chrome, Refusal},
    refuse_at_the_front, router,
    urls::routes,
    visit::TraceId,
};
use crate::{
    clock::Entropy,
    decision::{Caller, RequestFacts},
    error::Code,
    flows::Vestibule,
    i18n::Languages,
};

/// The way in: closed until the store has been found, read, and is known to be the right one. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    inside: Arc<OnceLock<(Arc<Vestibule>, Router)>>,
    /// What the refusals of a closed door are named by.
    entropy: Arc<dyn Entropy>,
}

impl Door {
    /// A closed one.
    #[must_use]
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { inside: Arc::default(), entropy }
    }

    /// Opens it, once.
    pub fn open(&self, directory: &DirectoryApi) {
        let _ = self.inside.set((Arc::clone(directory.vestibule()), router(directory)));
    }

    /// The answer to a request that is refused before it reaches a route.
    #[must_use]
    pub fn refuse(&self, parts: &Parts, code: Code) -> Response {
        match self.inside.get() {
            Some((vestibule, _)) => refuse_at_the_front(vestibule, parts, code),
            None => front::problem(parts, code),
        }
    }
}

impl Service<Request<Body>> for Door {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.inside.get() {
            Some((_, router)) => Box::pin(router.clone().oneshot(request)),
            None => {
                let response = closed(&request.into_parts().0, &*self.entropy);
                Box::pin(async { Ok(response) })
            }
        }
    }
}

/// Alive, and not ready (checklist F-07).
fn closed(parts: &Parts, entropy: &dyn Entropy) -> Response {
    if parts.uri.path() == routes::HEALTHZ {
        return "ok\n".into_response();
    }
    let person = RequestFacts::of(&parts.method, &parts.headers).caller() == Caller::Person;
    let mut response = match person && parts.uri.path() != routes::READYZ {
        true => {
            let accepted = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
            let language = Languages::from(None, accepted, None, None).page;
            let TraceId(trace) = TraceId::draw(entropy);
            tracing::info!(code = %Code::StoreUnavailable, trace, "refused: not ready yet");
            let chrome = Chrome { language, trace_id: Some(trace), ..Chrome::default() };
            Refusal::new(chrome, Code::StoreUnavailable).into_response()
        }
        false => front::problem(parts, Code::StoreUnavailable),
    };
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
