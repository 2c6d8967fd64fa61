//! The layer as an app sees it, in front of a plain service.

mod provider;
#[cfg(feature = "server")]
mod remote;
mod routes;
mod tokens;
mod tower_rules;

use std::{convert::Infallible, sync::Arc};

use http::{
    HeaderMap, Request, Response,
    header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE},
};
use tower::{Layer, ServiceExt, service_fn};

use self::provider::{APP, TestProvider};
use super::{Guest, GuestLayer, Refusal};

const APP_URL: &str = "https://app.example";

/// What the app was asked, as its answer.
async fn app(request: Request<()>) -> Result<Response<String>, Infallible> {
    let guest = request.extensions().get::<Guest>().expect("nobody reaches the app unknown");
    let cookies: Vec<_> = request.headers().get_all(COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
    Ok(Response::new(format!("{} at {} with [{}]", guest.name().unwrap_or("?"), request.uri(), cookies.join("|"))))
}

/// The layer, its provider, and a browser's cookies.
struct Door {
    provider: Arc<TestProvider>,
    layer: GuestLayer,
}

impl Door {
    fn new() -> Self {
        let provider = Arc::new(TestProvider::new());
        let layer = GuestLayer::embedded(Arc::clone(&provider) as _, APP, &APP_URL.parse().unwrap()).unwrap();
        Self { provider, layer }
    }

    async fn send(&self, request: Request<()>) -> Response<String> {
        self.layer.layer(service_fn(app)).oneshot(request).await.unwrap()
    }

    /// A person opens a page.
    async fn open(&self, browser: &mut Browser, target: &str) -> Response<String> {
        let target = target.strip_prefix(APP_URL).unwrap_or(target);
        let response = self.send(browser.request("GET", target)).await;
        browser.keep(response.headers());
        response
    }

    /// A person opens a page, signs in, and comes back to the app.
    async fn sign_in(&self, browser: &mut Browser, target: &str) -> Response<String> {
        let response = self.open(browser, target).await;
        let query = self.provider.authorize(location(&response));
        self.open(browser, &format!("/.vestibule/callback?{query}")).await
    }
}

/// A browser with its cookies.
#[derive(Default)]
struct Browser {
    cookies: Vec<(String, String)>,
}

impl Browser {
    fn request(&self, method: &str, target: &str) -> Request<()> {
        let mut request = Request::builder().method(method).uri(target).header(ACCEPT, "text/html,*/*;q=0.8");
        request = request.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document");
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        request.body(()).unwrap()
    }

    fn keep(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            assert!(text.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "S-58: {text}");
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !text.contains("Max-Age=0") {
                self.cookies.push((name.into(), value.into()));
            }
        }
    }

    fn cookie(&self, prefix: &str) -> Option<&str> {
        self.cookies.iter().find(|(name, _)| name.starts_with(prefix)).map(|(_, value)| value.as_str())
    }
}

fn location(response: &Response<String>) -> &str {
    let location = response.headers().get(LOCATION);
    location.unwrap_or_else(|| panic!("no redirect: {} {}", response.status(), response.body())).to_str().unwrap()
}

/// The code of a refusal, from where an app's access log finds it.
fn code(response: &Response<String>) -> crate::error::Code {
    response.extensions().get::<Refusal>().unwrap_or_else(|| panic!("{} {}", response.status(), response.body())).code
}
