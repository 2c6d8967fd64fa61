//! Three machines as a browser sees them: the sharing organisation's server, the home organisation's, and an app. Each has
//! a host name of its own, so that neither cookies nor `form-action` nor redirects work by accident.

use std::time::{Duration, Instant};

use axum::{Router, response::Html, routing::get};
use tempfile::TempDir;
use tokio::net::TcpListener;
use vestibule::{
    layer::{Guest, GuestLayer, RemoteConfig},
    secret::Secret,
};

use super::{
    declared::{CONTOSO, Declared, EXPENSES, guest, member},
    process::{Person, Process, READY_WITHIN, SignsInWith, run_ok, spare_address, text, vestibule},
    random,
    visitor::Visitor,
};

/// A running `vestibule serve`.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) process: Process,
    folder: TempDir,
}

impl Server {
    /// Starts one under `url`, after `declared` was applied; it may reach the `outbound` hosts.
    pub(crate) fn start(url: &str, outbound: &str, declared: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = url.rsplit(':').next().expect("a port");
        let config = format!(
            "public_url = \"{url}\"\ndata = \"data\"\n\n[[listen]]\naddress = \"127.0.0.1:{address}\"\n\n[mail]\n\
             from_name = \"Vestibule\"\nfrom = \"guests@contoso.example\"\nfolder = \"mail\"\n\n[outbound]\nallow = [{outbound}]\n"
        );
        let (config_file, apply_file) = (folder.path().join("vestibule.toml"), folder.path().join("apply.toml"));
        std::fs::write(&config_file, config).expect("a file");
        std::fs::write(&apply_file, declared).expect("a file");
        std::fs::write(folder.path().join("terms.md"), "# Terms\n\nBe kind.\n").expect("a file");
        run_ok(&["apply", text(&apply_file), "--config", text(&config_file)]);
        let mut command = vestibule();
        command.args(["serve", "--config", text(&config_file)]);
        let (process, _) = Process::spawn(command);
        Self { url: url.to_owned(), process, folder }
    }

    /// Waits until it is.
    pub(crate) async fn ready(&self) {
        let http = Visitor::of(Vec::new());
        let url = url::Url::parse(&format!("{}/readyz", self.url)).expect("a URL");
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let mut probe = http.clone();
            probe.may_crash = true;
            if probe.receive(http.request(reqwest::Method::GET, &url)).await.status == 200 {
                return;
            }
            assert!(Instant::now() < deadline, "{} is not ready:\n{}", self.url, self.process.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where its mail goes.
    pub(crate) fn mail(&self) -> std::path::PathBuf {
        self.folder.path().join("mail")
    }
}

/// The three of them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) contoso: Server,
    pub(crate) fabrikam: Server,
    /// The app's start page.
    pub(crate) app: String,
    /// A guest of Contoso and member of Fabrikam, who has not been here.
    pub(crate) guest: Person,
    /// A guest of Contoso without a home organisation.
    pub(crate) passcode_guest: Person,
}

impl World {
    /// Starts everything.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts everything; `policy` is more of Contoso's declaration.
    pub(crate) async fn start_with(policy: &str) -> Self {
        let url = |host: &str| format!("http://{host}.localhost:{}", spare_address().port());
        let (contoso, fabrikam) = (url("vestibule"), url("fabrikam"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let app = format!("http://expenses.localhost:{}", listener.local_addr().expect("an address").port());
        let (password, trust_secret, app_secret) = (random(), random(), random());
        let declared =
            Declared { contoso: &contoso, fabrikam: &fabrikam, app: &app, app_secret: &app_secret, trust_secret: &trust_secret };
        let home = [declared.fabrikam(), member("robin@fabrikam.example", &password)].concat();
        let guests = ["robin@fabrikam.example", "kim@elsewhere.example"].map(guest).concat();
        let fabrikam_host = fabrikam.trim_start_matches("http://");
        let (contoso, fabrikam) = (
            Server::start(&contoso, &format!("\"{fabrikam_host}\""), &[declared.contoso(policy), guests].concat()),
            Server::start(&fabrikam, "", &home),
        );
        contoso.ready().await;
        fabrikam.ready().await;
        serve_app(listener, &format!("{}/{CONTOSO}/v2.0", contoso.url), EXPENSES, &app, &app_secret);
        let person = |email: &str, signs_in_with, password| Person { email: email.to_owned(), signs_in_with, password };
        Self {
            contoso,
            fabrikam,
            app: format!("{app}/"),
            guest: person("robin@fabrikam.example", SignsInWith::HomeOrganisation, Some(password)),
            passcode_guest: person("kim@elsewhere.example", SignsInWith::OneTimePasscode, None),
        }
    }

    /// The direct link to the app.
    pub(crate) fn link(&self) -> String {
        format!("{}/contoso.example/signin/Expenses/{EXPENSES}", self.contoso.url)
    }

    /// The apps panel.
    pub(crate) fn panel(&self) -> String {
        format!("{}/contoso.example", self.contoso.url)
    }

    /// The name of the session cookie.
    pub(crate) fn session_cookie(&self) -> String {
        format!("__Host-vb-s-{}", CONTOSO.replace('-', ""))
    }
}

/// An app of somebody's own, behind the layer; it ends with its runtime.
pub(crate) fn serve_app(listener: TcpListener, issuer: &str, id: &str, url: &str, secret: &str) {
    let config = RemoteConfig::new(
        issuer.parse().expect("an issuer"),
        id.parse().expect("an app id"),
        Secret::new(secret),
        url.parse().expect("a URL"),
    );
    let guests = GuestLayer::remote(config).expect("a layer");
    let hello = async |guest: Guest| Html(format!("<p>Hello, <b id=\"greeting\">{}</b></p>", guest.name().unwrap_or("guest")));
    let app = Router::new().route("/", get(hello)).route("/reports/{id}", get(hello)).layer(guests);
    tokio::spawn(async move { axum::serve(listener, app).await });
}
