//! A program with permissions in a tenant of the demo. Every answer that it gets is held against the OpenAPI document.

use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use vestibule::{clock::SystemEntropy, domain::AppId};

use super::schema::Document;
use crate::support::{
    apply::{apply, apply_to, home_tenant},
    process::Demo,
    random,
};

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Got {
    /// The JSON in it; null when it has none.
    pub(super) fn json(&self) -> Value {
        if self.text.is_empty() { Value::Null } else { serde_json::from_str(&self.text).expect(&self.text) }
    }

    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The code of the envelope.
    pub(super) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header's value, empty when absent.
    pub(super) fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    /// Without what differs from one answer to the next: when, and which request.
    pub(super) fn comparable(&self) -> (u16, Value) {
        let mut body = self.json();
        if let Some(error) = body.get_mut("error") {
            error["innerError"]["date"] = json!("");
            error["innerError"]["request-id"] = json!("");
            error["innerError"]["client-request-id"] = json!("");
        }
        (self.status, body)
    }
}

/// A program in a tenant.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) service: String,
    pub(super) tenant: String,
    pub(super) app: String,
    pub(super) secret: String,
    pub(super) token: String,
    pub(super) document: Document,
    pub(super) http: reqwest::Client,
}

impl Api {
    /// One with these permissions in the sharing tenant of `demo`.
    pub(super) async fn with(demo: &Demo, permissions: &[&str]) -> Self {
        let (id, secret) = (app_id(), random());
        apply(demo, &declared(&id, &secret, permissions), &[]);
        Self::of(demo, &demo.tenant_id.clone(), id, secret).await
    }

    /// The same in the other tenant.
    pub(super) async fn elsewhere(demo: &Demo, permissions: &[&str]) -> Self {
        let (id, secret, (tenant, domain)) = (app_id(), random(), home_tenant(demo).await);
        apply_to(demo, &tenant, "Fabrikam", &[(&domain, true)], &declared(&id, &secret, permissions), &[]);
        Self::of(demo, &tenant, id, secret).await
    }

    async fn of(demo: &Demo, tenant: &str, app: String, secret: String) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let service = format!("{}/v1.0", demo.origin());
        let document = Document::read(&http, &service).await;
        let mut api = Self { service, tenant: tenant.to_owned(), app, secret, token: String::new(), document, http };
        api.token = api.new_token(demo).await;
        api
    }

    /// A token by client credentials.
    pub(super) async fn new_token(&self, demo: &Demo) -> String {
        let scope = format!("{}/.default", demo.origin());
        let form = [("grant_type", "client_credentials"), ("scope", scope.as_str())];
        let url = format!("{}/{}/oauth2/v2.0/token", demo.origin(), self.tenant);
        let request = self.http.post(url).basic_auth(&self.app, Some(&self.secret)).form(&form);
        let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        demo.secret(&token);
        token
    }

    /// The same program with another token.
    pub(super) fn holding(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// A request to a path below the root of the API, or to a whole URL, with the token.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(&self.token)
    }

    /// The same without the token.
    pub(super) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.service) };
        self.http.request(method, url)
    }

    /// Sends it.
    pub(super) async fn send(&self, request: RequestBuilder) -> Got {
        let request = request.build().expect("a request");
        let (method, url) = (request.method().clone(), request.url().clone());
        let answer = self.http.execute(request).await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let got = Got { status, headers, text: answer.text().await.expect("text") };
        assert!(got.header("cache-control").contains("no-store"), "{url}: {:?}", got.headers);
        assert!(!got.headers.contains_key("access-control-allow-origin") && !got.headers.contains_key("set-cookie"));
        if status != 200 || !url.path().ends_with("openapi.json") {
            self.document.check(method.as_str(), url.path().trim_start_matches("/v1.0"), status, &got.json());
        }
        got
    }

    pub(super) async fn get(&self, path: &str) -> Got {
        self.send(self.request(Method::GET, path)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Got {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Got {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Got {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    /// Invites somebody without a mail; gives the answer.
    pub(super) async fn invite(&self, demo: &Demo, mail: &str) -> Value {
        let body = json!({ "invitedUserEmailAddress": mail, "inviteRedirectUrl": demo.app.url });
        let invitation = self.post("/invitations", &body).await.expect(201).json();
        demo.secret(invitation["inviteRedeemUrl"].as_str().expect("a link"));
        invitation
    }

    /// The same; gives the id of the user.
    pub(super) async fn guest(&self, demo: &Demo, mail: &str) -> String {
        self.invite(demo, mail).await["invitedUser"]["id"].as_str().expect("an id").to_owned()
    }
}

/// A new app's id.
pub(super) fn app_id() -> String {
    AppId::random(&SystemEntropy).to_string()
}

/// An app with permissions of its own, as `apply` reads it.
pub(super) fn declared(id: &str, secret: &str, permissions: &[&str]) -> String {
    format!(
        "[[tenant.app]]\nid = \"{id}\"\ndisplay_name = \"Program {id}\"\nvisible = false\nclient_secret = \"{secret}\"\n\
         permissions = {permissions:?}\n\n"
    )
}

/// An address that nobody has yet.
pub(super) fn address() -> String {
    format!("{}@elsewhere.example", app_id())
}
