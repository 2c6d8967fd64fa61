//! What tower asks of a middleware.

use std::task::{Context, Poll};

use tower::{Service, ServiceExt};

use super::*;

/// A service that must be asked before every call, as tower demands, and that can be out of order.
#[derive(Default)]
struct Strict {
    asked: bool,
    broken: bool,
}

impl Clone for Strict {
    /// Readiness is never cloned.
    fn clone(&self) -> Self {
        Self { asked: false, broken: self.broken }
    }
}

#[derive(Debug, PartialEq)]
struct Broken;

impl Service<Request<()>> for Strict {
    type Response = Response<String>;
    type Error = Broken;
    type Future = std::future::Ready<Result<Response<String>, Broken>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.asked = true;
        Poll::Ready(if self.broken { Err(Broken) } else { Ok(()) })
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.asked), "called without having been asked");
        let fails = request.uri().path() == "/fails";
        std::future::ready(if fails { Err(Broken) } else { Ok(Response::new("ok".into())) })
    }
}

async fn session(door: &Door) -> Browser {
    let mut browser = Browser::default();
    door.sign_in(&mut browser, "/").await;
    browser
}

#[tokio::test]
async fn the_service_that_was_found_ready_is_the_one_that_is_called() {
    let door = Door::new();
    let browser = session(&door).await;
    let mut service = door.layer.layer(Strict::default());
    for _ in 0..3 {
        for request in [browser.request("GET", "/"), Browser::default().request("GET", "/")] {
            service.ready().await.unwrap().call(request).await.unwrap();
        }
        // A token whose keys have to be fetched first is answered by the service that was ready, much later.
        door.provider.fetched.store(None);
        let token = door.provider.tokens(door.provider.ann(0, None)).access_token;
        let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap();
        let answer = service.ready().await.unwrap().call(request);
        assert!(!service.inner_is_ready(), "what is left behind has to be asked again");
        assert_eq!(answer.await.unwrap().body(), "ok");
    }
}

impl super::super::GuestService<Strict> {
    fn inner_is_ready(&self) -> bool {
        self.inner().asked
    }
}

#[tokio::test]
async fn errors_are_the_inner_services_own() {
    let door = Door::new();
    let browser = session(&door).await;
    let mut service = door.layer.layer(Strict::default());
    assert_eq!(service.ready().await.unwrap().call(browser.request("GET", "/fails")).await.unwrap_err(), Broken);
    let mut broken = door.layer.layer(Strict { broken: true, ..Strict::default() });
    assert_eq!(broken.ready().await.err(), Some(Broken));
}

/// A request that is turned away gives back the place that was kept for it.
#[cfg(feature = "server")] // which brings tower's limits
#[tokio::test]
async fn a_refusal_gives_its_place_back() {
    let door = Door::new();
    let browser = session(&door).await;
    let limited = tower::limit::ConcurrencyLimitLayer::new(1).layer(service_fn(app));
    let mut first = door.layer.layer(limited);
    let mut second = first.clone();
    let refused = first.ready().await.unwrap().call(Browser::default().request("GET", "/")).await.unwrap();
    assert_eq!(refused.status(), http::StatusCode::SEE_OTHER);
    // `first` is still alive; were its place kept, this would wait for ever.
    let passed = second.ready().await.unwrap().call(browser.request("GET", "/")).await.unwrap();
    assert_eq!(passed.status(), http::StatusCode::OK);
}
