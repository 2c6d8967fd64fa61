//! What a handler knows of a request besides its body, and how answers are dressed up for whoever sent it.

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use axum::{
    Json,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts};

use super::{
    front::{self, Peer},
    graph,
    pages::{AccountInUse, Chrome, Contact, Link, Refusal, TenantFace},
    urls::{Path, routes},
};
use crate::{
    clock::{Entropy, random_uuid},
    decision::{Caller, RequestFacts},
    domain::tenant::Tenant,
    error::Code,
    flows::{Vestibule, directory::TenantView},
    i18n::Languages,
};

/// A request, as handlers see it.
#[derive(Debug)]
pub struct Visit {
    /// The server.
    pub vestibule: Arc<Vestibule>,
    /// The method.
    pub method: Method,
    /// The path and query, as sent.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// What the log calls it.
    pub trace: TraceId,
    /// The client's address, as far as it is known.
    pub client: IpAddr,
    /// What the front found wrong with the request, if it is refused there.
    pub reason: Option<&'static str>,
}

/// What the log calls a request: 16 hexadecimal digits, drawn by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceId(pub String);

impl TraceId {
    /// Draws one.
    #[must_use]
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let id = random_uuid(entropy).simple().to_string();
        Self(id[..16].to_owned())
    }
}

/// What the log says of a path. Paths of the directory API may have addresses in them (checklist W-04), and so may those that
/// lead nowhere.
#[must_use]
pub fn path_for_the_log(path: &str) -> &str {
    match path {
        api if graph::is_about(api) => routes::DIRECTORY_API_ROOT,
        odd if odd.contains(['@', '%']) => "(not shown)",
        path => path,
    }
}

impl FromRequestParts<Arc<Vestibule>> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<Vestibule>) -> Result<Self, Infallible> {
        Ok(Self::of(parts, state))
    }
}

impl Visit {
    /// Reads a request's head.
    #[must_use]
    pub fn of(parts: &Parts, vestibule: &Arc<Vestibule>) -> Self {
        let unknown = IpAddr::from([0, 0, 0, 0]);
        Self {
            vestibule: Arc::clone(vestibule),
            method: parts.method.clone(),
            target: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            headers: parts.headers.clone(),
            trace: parts.extensions.get::<TraceId>().cloned().unwrap_or_else(|| TraceId::draw(&*vestibule.foundation.entropy)),
            client: parts
                .extensions
                .get::<Peer>()
                .map_or(unknown, |peer| client(peer.addr.ip(), &parts.headers, &vestibule.proxies)),
            reason: parts.extensions.get::<front::Refusal>().map(front::Refusal::reason),
        }
    }

    /// The path, as sent.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The query, as sent.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Whether a person is in front of it.
    #[must_use]
    pub fn is_person(&self) -> bool {
        RequestFacts::of(&self.method, &self.headers).caller() == Caller::Person
    }

    /// The languages the person reads.
    #[must_use]
    pub fn languages(&self, ui_locales: Option<&str>, tenant: Option<&Tenant>) -> Languages {
        let accepted = self.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Languages::from(ui_locales, accepted, None, tenant.and_then(|tenant| tenant.policy.language.as_ref()))
    }

    /// What is shown around a page.
    #[must_use]
    pub fn chrome(&self, view: Option<&TenantView>, ui_locales: Option<&str>) -> Chrome {
        let tenant = view.map(|view| &view.tenant);
        Chrome {
            language: self.languages(ui_locales, tenant).page,
            tenant: tenant.map(face),
            account: None,
            csrf: String::new(),
            trace_id: None,
            https: self.vestibule.foundation.public_url.as_url().scheme() == "https",
        }
    }

    /// What is shown around a page for a known account.
    #[must_use]
    pub fn chrome_for(&self, view: &TenantView, ui_locales: Option<&str>, account: AccountInUse, csrf: String) -> Chrome {
        Chrome { account: Some(account), csrf, ..self.chrome(Some(view), ui_locales) }
    }

    /// A refusal with nothing but its code: as a page for people, as a problem document for programs, and below the directory API
    /// as that refuses everything.
    #[must_use]
    pub fn refuse(&self, code: Code) -> Response {
        self.refuse_in(None, code)
    }

    /// A refusal by a tenant, whom it names as the one to ask.
    #[must_use]
    pub fn refuse_in(&self, view: Option<&TenantView>, code: Code) -> Response {
        let mut refusal = Refusal::new(self.chrome(view, None), code);
        refusal.contact = view.and_then(contact);
        self.refuse_with(refusal)
    }

    /// A refusal in full.
    #[must_use]
    pub fn refuse_with(&self, mut refusal: Refusal) -> Response {
        if graph::is_about(self.path()) {
            return graph::refuse(self, refusal.code);
        }
        self.count(refusal.code);
        refusal.chrome.trace_id = Some(self.trace.0.clone());
        let code = refusal.code;
        let mut response = if self.is_person() || self.accepts_html() { refusal.into_response() } else { self.problem(code) };
        if code.status() == http::StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }

    /// A refusal as a page, whoever asks.
    #[must_use]
    pub fn refuse_as_page(&self, code: Code) -> Response {
        self.count(code);
        let mut refusal = Refusal::new(self.chrome(None, None), code);
        refusal.chrome.trace_id = Some(self.trace.0.clone());
        refusal.into_response()
    }

    /// Forms of our own pages are sent by people, whatever their browser says.
    fn accepts_html(&self) -> bool {
        let accept = self.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        accept.contains("text/html")
    }

    fn count(&self, code: Code) {
        metrics::counter!("vestibule_refusals_total", "code" => code.to_string()).increment(1);
        let path = path_for_the_log(self.path());
        tracing::info!(%code, path, reason = self.reason, trace = self.trace.0, "refused: {}", code.sentence());
    }

    /// A problem document (RFC 9457).
    #[must_use]
    pub fn problem(&self, code: Code) -> Response {
        let status = code.status();
        let document = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Refused"),
            "status": status.as_u16(),
            "detail": code.sentence(),
            "code": code.to_string(),
            "next": code.next_step(),
            "trace": self.trace.0,
        });
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if status == http::StatusCode::SERVICE_UNAVAILABLE || status == http::StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// Whom a request comes from: who opened the connection, unless that is a proxy that may say for whom it did. Of what it says
/// only the end counts, which it wrote itself: everything before came with the request (checklist H-01).
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> IpAddr {
    let mut client = peer.to_canonical();
    let values: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        match hop.trim().parse::<IpAddr>() {
            Ok(hop) if proxies.contains(&client) => client = hop.to_canonical(),
            _ => break,
        }
    }
    client
}

/// How a tenant shows itself.
#[must_use]
pub fn face(tenant: &Tenant) -> TenantFace {
    let logo = tenant.branding.logo.map(|logo| Link::from(Path::Logo(tenant.id, logo).to_string()));
    TenantFace::of(tenant, logo)
}

/// Whom to ask in a tenant.
#[must_use]
pub fn contact(view: &TenantView) -> Option<Contact> {
    view.tenant.contact().map(Contact)
}

/// A redirect to our own pages: 303, never 307 or 308, which would send a form's secrets on (RFC 9700 section 4.12).
#[must_use]
pub fn see_other(location: &impl std::fmt::Display) -> Response {
    let mut response = http::StatusCode::SEE_OTHER.into_response();
    // Our own paths are ASCII; locations of clients were checked when they were registered.
    if let Ok(location) = HeaderValue::from_str(&location.to_string()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    let no_referrer = (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer"));
    response.headers_mut().insert(no_referrer.0, no_referrer.1);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h_01_only_proxies_say_who_their_client_is() {
        let proxies = ["10.0.0.1", "10.0.0.2"].map(|proxy| proxy.parse().unwrap());
        let client = |peer: &str, said: &[&str]| {
            let mut headers = HeaderMap::new();
            for said in said {
                headers.append("x-forwarded-for", said.parse().unwrap());
            }
            client(peer.parse().unwrap(), &headers, &proxies).to_string()
        };
        assert_eq!(client("192.0.2.9", &["198.51.100.7"]), "192.0.2.9", "a stranger is believed nothing");
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("::ffff:10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["203.0.113.5, 198.51.100.7"]), "198.51.100.7", "what the client wrote itself");
        assert_eq!(client("10.0.0.1", &["203.0.113.5", "198.51.100.7, 10.0.0.2"]), "198.51.100.7", "two proxies");
        for nothing in [&[][..], &["unknown"], &["198.51.100.7:443"], &["198.51.100.7, "]] {
            assert_eq!(client("10.0.0.1", nothing), "10.0.0.1", "{nothing:?}");
        }
    }
}
