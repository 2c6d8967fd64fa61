//! A tenant's site and one browser in front of it, without a network.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use axum::{Router, body::Body};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde::Deserialize;
use tower::ServiceExt;

use super::counted::Counted;
use crate::{
    config::Config,
    domain::AppId,
    flows::{
        Vestibule,
        apply::tests::{House, contoso, tenant},
        directory::TenantView,
        journey::Journey,
        live,
    },
    http::graph::DirectoryApi,
    mail::{Mail, OutboxState, outbox_items},
    secret::SecretHash,
    server,
    store::records::{self, Store},
};

pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(super) const CALLBACK: &str = "https://expenses.contoso.example/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CONFIG: &str = "public_url = \"https://vestibule.example\"\ndata = \".\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
    [mail]\nfrom_name = \"x\"\nfrom = \"x@contoso.example\"\nfolder = \"mail\"\n";

/// A server over a store that counts, and a browser.
pub(super) struct Site {
    pub(super) house: House,
    pub(super) vestibule: Arc<Vestibule>,
    pub(super) app: AppId,
    pub(super) store: Arc<Counted>,
    /// What the browser says of languages.
    pub(super) accept_language: &'static str,
    router: Router,
    cookies: BTreeMap<String, String>,
}

/// A form to be posted: by a browser with these cookies, where to, and its fields.
pub(super) type Posted<'a> = (BTreeMap<String, String>, String, Vec<(&'a str, &'a str)>);

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    /// Where a browser goes next by itself: a redirect, or the refresh of a page.
    #[track_caller]
    pub(super) fn onward(&self) -> String {
        if let Some(location) = self.headers.get(header::LOCATION) {
            return location.to_str().unwrap().to_owned();
        }
        let refresh = self.body.split("content=\"0; url=").nth(1).unwrap_or_else(|| panic!("{}: {}", self.status, self.body));
        refresh.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&")
    }

    /// A parameter of where it leads.
    #[track_caller]
    pub(super) fn parameter(&self, name: &str) -> String {
        let url = url::Url::parse(&self.onward()).unwrap();
        let found = url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
        found.unwrap_or_else(|| panic!("no {name} in {url}"))
    }

    /// The value of a hidden field.
    #[track_caller]
    pub(super) fn hidden(&self, name: &str) -> String {
        let marker = format!("name=\"{name}\" value=\"");
        let value = self.body.split(marker.as_str()).nth(1).unwrap_or_else(|| panic!("{}: {}", self.status, self.body));
        value.split('"').next().unwrap().to_owned()
    }

    #[track_caller]
    pub(super) fn json(&self) -> serde_json::Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Site {
    /// A server that knows the tenant and its terms already.
    pub(super) async fn warm() -> Self {
        let site = Self::cold().await;
        let view = site.know_the_tenant().await;
        let terms = &view.agreements[0].files[0].versions[0];
        site.vestibule.documents.text(tenant(), &terms.document).await.unwrap();
        site.store.take();
        site
    }

    /// Has the server read the tenant.
    pub(super) async fn know_the_tenant(&self) -> Arc<TenantView> {
        let view = self.vestibule.directory.tenant(tenant()).await.unwrap().expect("a tenant");
        self.store.take();
        view
    }

    /// A server that was asked nothing yet. Its tenant proves mailboxes by a code, also where it knows a home organisation.
    pub(super) async fn cold() -> Self {
        let mut house = House::new();
        let store = Arc::new(Counted::new(Arc::new(house.clock.clone())));
        house.foundation.store = Store::new(Arc::<Counted>::clone(&store));
        house.apply(&declared("")).await;
        let config = Config::parse(CONFIG, Path::new("/nowhere")).unwrap();
        let vestibule = server::build(&config, house.foundation.clone()).unwrap();
        live::load_all(&vestibule).await.unwrap();
        let apps = house.foundation.store.list(&records::apps(tenant())).await.unwrap();
        let app = apps.into_iter().find(|app| app.value.display_name == "Expenses").unwrap().value.id;
        store.take();
        let router = crate::http::router(&DirectoryApi::new(&vestibule));
        Self { house, vestibule, app, store, accept_language: "en", router, cookies: BTreeMap::new() }
    }

    /// Time goes by, and the feed says that nothing has happened.
    pub(super) fn wait(&self, seconds: i64) {
        self.house.clock.advance(seconds);
        self.vestibule.live.heard(self.house.foundation.now());
    }

    pub(super) fn authorize(&self, scope: &str) -> String {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(SecretHash::of(VERIFIER.as_bytes()).as_bytes());
        let query = query(&[
            ("client_id", &self.app.to_string()),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", scope),
            ("state", "s"),
            ("nonce", "n"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        format!("/{}/oauth2/v2.0/authorize?{query}", tenant())
    }

    pub(super) async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::builder().method(Method::GET).uri(path), String::new()).await
    }

    pub(super) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = Request::builder().method(Method::POST).uri(path);
        self.send(request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"), query(fields)).await
    }

    /// Asks the token endpoint, as the app.
    pub(super) async fn token(&mut self, fields: &[(&str, &str)]) -> Answer {
        let app = self.app.to_string();
        let client = [("client_id", app.as_str()), ("client_secret", SECRET)];
        self.post(&format!("/{}/oauth2/v2.0/token", tenant()), &[fields, &client].concat()).await
    }

    pub(super) async fn trade(&mut self, code: &str) -> Answer {
        let fields =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        self.token(&fields).await
    }

    pub(super) async fn userinfo(&mut self, token: &str) -> Answer {
        let request = Request::builder().uri(format!("/{}/oidc/userinfo", tenant()));
        self.send(request.header(header::AUTHORIZATION, format!("Bearer {token}")), String::new()).await
    }

    async fn send(&mut self, request: http::request::Builder, body: String) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request
            .header(header::HOST, "vestibule.example")
            .header(header::ACCEPT, "text/html")
            .header(header::ACCEPT_LANGUAGE, self.accept_language)
            .header(header::COOKIE, cookies.join("; "))
            .body(Body::from(body))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// The code in the one mail that waits. Not counted: whoever reads a mail does not ask the store.
    pub(super) async fn mailed_code(&self) -> String {
        let calls = self.store.take();
        let mails = self.house.foundation.store.list(&outbox_items(tenant())).await.unwrap();
        let [mail] = &mails[..] else { panic!("{mails:?}") };
        let OutboxState::Queued { sealed } = &mail.value.state else { panic!("{mail:?}") };
        let purpose = [b"outbox", tenant().as_bytes().as_slice(), mail.value.id.0.as_bytes()].concat();
        let content: Content = self.house.foundation.ring.open(&purpose, sealed).unwrap();
        assert!(!content.decoy);
        assert!(self.store.take().len() == 1 && calls.is_empty(), "{calls:?}");
        content.mail.text.split_whitespace().filter(digits).take(2).collect()
    }

    /// The newest code that was mailed to an address; none when all that was written to it are decoys.
    pub(super) async fn code_to(&self, address: &str) -> Option<String> {
        let mails = self.house.foundation.store.list(&outbox_items(tenant())).await.unwrap();
        let mut found = None;
        for mail in mails {
            let OutboxState::Queued { sealed } = &mail.value.state else { continue };
            let purpose = [b"outbox", tenant().as_bytes().as_slice(), mail.value.id.0.as_bytes()].concat();
            let content: Content = self.house.foundation.ring.open(&purpose, sealed).unwrap();
            if content.mail.to.as_str() == address && !content.decoy {
                let code: String = content.mail.text.split_whitespace().filter(digits).take(2).collect();
                found = found.max(Some((mail.value.created, code)).filter(|(_, code)| code.len() == 8));
            }
        }
        self.store.take();
        found.map(|(_, code)| code)
    }

    /// How many mails wait for somebody, and how many for nobody.
    pub(super) async fn mails(&self) -> (usize, usize) {
        let mails = self.house.foundation.store.list(&outbox_items(tenant())).await.unwrap();
        self.store.take();
        let decoys = mails.iter().filter(|mail| {
            let OutboxState::Queued { sealed } = &mail.value.state else { return false };
            let purpose = [b"outbox", tenant().as_bytes().as_slice(), mail.value.id.0.as_bytes()].concat();
            self.house.foundation.ring.open::<Content>(&purpose, sealed).unwrap().decoy
        });
        let decoys = decoys.count();
        (mails.len() - decoys, decoys)
    }

    /// The languages of the mails that wait for an address, the oldest first.
    pub(super) async fn mailed_in(&self, address: &str) -> Vec<String> {
        self.mails_to(address).await.into_iter().map(|mail| mail.language).collect()
    }

    /// The mails that wait for an address, the oldest first. Decoys are passed over.
    pub(super) async fn mails_to(&self, address: &str) -> Vec<Mail> {
        let mails = self.house.foundation.store.list(&outbox_items(tenant())).await.unwrap();
        let mut found = Vec::new();
        for mail in mails {
            let OutboxState::Queued { sealed } = &mail.value.state else { continue };
            let purpose = [b"outbox", tenant().as_bytes().as_slice(), mail.value.id.0.as_bytes()].concat();
            let content: Content = self.house.foundation.ring.open(&purpose, sealed).unwrap();
            if content.mail.to.as_str() == address && !content.decoy {
                found.push((mail.value.created, content.mail));
            }
        }
        found.sort_by_key(|(created, _)| *created);
        found.into_iter().map(|(_, mail)| mail).collect()
    }

    /// Goes on in another browser, whose cookies these are, and takes down those of this one.
    pub(super) fn change_browser(&mut self, cookies: &mut BTreeMap<String, String>) {
        std::mem::swap(&mut self.cookies, cookies);
    }

    /// Posts forms in the same moment, each in a browser with these cookies.
    pub(super) async fn post_at_once(&self, forms: &[Posted<'_>]) -> Vec<Answer> {
        let posted = forms.iter().map(async |(cookies, path, fields)| {
            let mut browser = Self {
                house: House { foundation: self.house.foundation.clone(), clock: self.house.clock.clone() },
                vestibule: Arc::clone(&self.vestibule),
                app: self.app,
                store: Arc::clone(&self.store),
                accept_language: self.accept_language,
                router: self.router.clone(),
                cookies: cookies.clone(),
            };
            browser.post(path, fields).await
        });
        futures_util::future::join_all(posted).await
    }

    /// The cookies of this browser.
    pub(super) fn cookies(&self) -> BTreeMap<String, String> {
        self.cookies.clone()
    }

    /// Asks with any method.
    pub(super) async fn ask(&mut self, method: Method, path: &str) -> Answer {
        self.send(Request::builder().method(method).uri(path), String::new()).await
    }

    /// The journey in the browser.
    #[track_caller]
    pub(super) fn journey(&self) -> Journey {
        Journey::open(self.journey_cookie().1, &self.house.foundation).expect("a journey")
    }

    /// Changes the journey, as a step that the store has no part in would.
    pub(super) fn change_journey(&mut self, change: impl FnOnce(&mut Journey)) {
        let (mut journey, name) = (self.journey(), self.journey_cookie().0.to_owned());
        change(&mut journey);
        self.cookies.insert(name, journey.seal(&self.house.foundation));
    }

    /// The name and the value of the journey's one cookie.
    #[track_caller]
    pub(super) fn journey_cookie(&self) -> (&str, &str) {
        let journeys: Vec<_> = self.cookies.iter().filter(|(name, _)| name.starts_with("__Host-vb-j-")).collect();
        let [(name, value)] = &journeys[..] else { panic!("{:?}", self.cookies.keys()) };
        (name, value)
    }
}

/// What waits to be mailed.
#[derive(Deserialize)]
struct Content {
    decoy: bool,
    mail: Mail,
}

/// Half a code, as mails write it.
fn digits(word: &&str) -> bool {
    word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The tenant, with `more` at its end.
pub(super) fn declared(more: &str) -> String {
    contoso(more).replace("[[tenant.app]]\n        display_name = \"Expenses\"", "policy = { redemption_order = [\"one_time_passcode\", \"home_organisation\"] }\n        [[tenant.app]]\n        display_name = \"Expenses\"")
}

fn query(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
