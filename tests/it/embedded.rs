//! The embedded form of the layer: provider, app and door in one process, no HTTP between them.

use std::{path::Path, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use tokio_util::sync::CancellationToken;
use vestibule::{
    config::Config,
    domain::{AppId, TenantId, WebUrl},
    flows::{
        InProcess, Vestibule,
        apply::{self, spec::Desired},
    },
    http::{front, graph::DirectoryApi},
    layer::{Guest, GuestLayer},
    server::{self, Server},
};

use crate::support::{mailbox::Mailbox, process::data_folder, visitor::Visitor};

const TENANT: &str = "6f1b4ad0-9d0e-4f0e-8a6b-1c7f3f8f5a01";
const APP: &str = "6f1b4ad0-9d0e-4f0e-8a6b-1c7f3f8f5a02";

/// A process with everything in it.
struct House {
    vestibule: Arc<Vestibule>,
    provider: String,
    app: String,
    mail: std::path::PathBuf,
    stop: CancellationToken,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl House {
    async fn build(folder: &Path) -> Self {
        let (server, app) = (bind().await, bind().await);
        let (provider, app_url) = (origin(&server), origin(&app));
        let text = format!(
            "public_url = \"{provider}\"\ndata = \"data\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
             [mail]\nfrom_name = \"Contoso\"\nfrom = \"guests@contoso.example\"\nfolder = \"mail\"\n"
        );
        let config = Config::parse(&text, folder).unwrap();
        let (foundation, _) = server::open(&config, None).await.unwrap();
        let vestibule = server::build(&config, foundation).unwrap();
        let house = Self {
            mail: folder.join("mail"),
            provider,
            app: app_url.clone(),
            stop: CancellationToken::new(),
            vestibule: Arc::clone(&vestibule),
        };
        house.declare(true, "# Be kind\n").await;
        let listeners = vec![front::Listener::from(server)];
        let serving = Server::over(&config, listeners).unwrap();
        tokio::spawn(serving.run(std::future::ready(Ok(DirectoryApi::new(&vestibule))), house.stop.clone().cancelled_owned()));

        let (tenant, id): (TenantId, AppId) = (TENANT.parse().unwrap(), APP.parse().unwrap());
        let provider = InProcess::new(vestibule, tenant, id).await.unwrap();
        let app_url: WebUrl = app_url.parse().unwrap();
        let door = GuestLayer::embedded(Arc::new(provider), id, &app_url).unwrap();
        let hello = |guest: Guest| async move { format!("Hello, {}", guest.name().unwrap_or("nobody")) };
        let routes = Router::new().route("/{*path}", get(hello)).layer(door);
        tokio::spawn(front::serve(vec![app.into()], routes, front::FrontConfig::default(), house.stop.clone().cancelled_owned()));
        house
    }

    /// Declares the tenant: a guest, who may be blocked, and terms with these words.
    async fn declare(&self, enabled: bool, terms: &str) {
        let app = &self.app;
        let folder = data_folder();
        std::fs::write(folder.path().join("terms.md"), terms).unwrap();
        let file = folder.path().join("tenants.toml");
        let text = format!(
            "[[tenant]]\nid = \"{TENANT}\"\ndisplay_name = \"Contoso\"\ndomains = [{{ name = \"contoso.example\", verified = true }}]\n\
             [[tenant.app]]\nid = \"{APP}\"\ndisplay_name = \"Notes\"\nredirect_uris = [\"{app}/.vestibule/callback\"]\n\
             [[tenant.agreement]]\nname = \"terms\"\n[[tenant.agreement.file]]\nlanguage = \"en\"\ndisplay_name = \"Terms\"\npath = \"terms.md\"\n\
             [[tenant.user]]\ndisplay_name = \"Sam\"\nmail = \"sam@proseware.example\"\naccount_enabled = {enabled}\n"
        );
        std::fs::write(&file, text).unwrap();
        apply::apply(&self.vestibule.foundation, &Desired::load(&file).unwrap(), false).await.unwrap();
    }

    /// Opens `path` of the app and does what is asked until the app answers.
    async fn enter(&self, browser: &mut Visitor, path: &str) -> String {
        let mut mailbox = Mailbox::open(&self.mail);
        let answer = browser.open(&format!("{}{path}", self.app)).await;
        let mut answer = browser.follow(answer).await;
        for _ in 0..12 {
            if answer.url.as_str().starts_with(&self.app) && !answer.url.path().starts_with("/.vestibule") {
                return answer.expect(200).body;
            }
            let page = answer.page();
            let next = ["code", "email", "send-code", "accept"].into_iter().find(|id| page.has(id));
            answer = match next {
                Some("code") => {
                    let code = mailbox.next_to("sam@proseware.example").await.passcode();
                    browser.press(&page, "next", &[("code", &code)]).await
                }
                Some("email") => browser.press(&page, "next", &[("email", "sam@proseware.example")]).await,
                Some("send-code") => browser.press(&page, "send-code", &[]).await,
                Some("accept") if page.has("open-terms") => {
                    browser.press(&page, "open-terms", &[]).await;
                    browser.press(&page, "accept", &[]).await
                }
                _ => browser.press(&page, "accept", &[]).await,
            };
            answer = browser.follow(answer).await;
        }
        panic!("not in the app but at {}\n{}", answer.url, answer.body);
    }

    /// The status that a program with this browser's cookies gets, once it is no longer 200; within a bounded time.
    async fn status_after_change(&self, browser: &mut Visitor) -> u16 {
        for _ in 0..100 {
            let url = format!("{}/data", self.app).parse().unwrap();
            let request = browser.request(http::Method::GET, &url).header("accept", "application/json");
            let status = browser.send(request).await.status.as_u16();
            if status != 200 {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        200
    }
}

async fn bind() -> tokio::net::TcpListener {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn origin(listener: &tokio::net::TcpListener) -> String {
    format!("http://localhost:{}", listener.local_addr().unwrap().port())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_14_l_18_the_embedded_door_lets_in_comes_back_and_sees_terms_and_blocks_at_once() {
    let folder = data_folder();
    let house = House::build(folder.path()).await;
    let mut browser = Visitor::of(vec![house.provider.clone()]);
    assert_eq!(house.enter(&mut browser, "/deep/page?x=1&y=2").await, "Hello, Sam");
    let page = browser.open(&format!("{}/again", house.app)).await;
    assert_eq!((page.status.as_u16(), page.body.as_str()), (200, "Hello, Sam"), "the second visit goes straight in");

    house.declare(true, "# Be kinder\n").await;
    assert_eq!(house.status_after_change(&mut browser).await, 403, "a program learns that an interaction is required");
    assert_eq!(house.enter(&mut browser, "/after-terms").await, "Hello, Sam", "a person is taken through the terms and back");

    house.declare(false, "# Be kinder\n").await;
    assert_ne!(house.status_after_change(&mut browser).await, 200, "a blocked guest is out");
}
