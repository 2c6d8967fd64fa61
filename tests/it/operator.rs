//! The operator's side: the real program with a configuration of its own, its files, its signals and its socket.

mod applying;
mod audit;
mod backups;
mod configuration;
mod domains;
mod guests;
mod rings;
mod serving;
mod stores;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Output,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    declared::{self, CONTOSO as TENANT, EXPENSES as APP},
    process::{Process, READY_WITHIN, data_folder, run, spare_address, text, vestibule},
    random,
};

/// How long a change may take to be seen.
const A_SECOND: Duration = Duration::from_secs(1);
/// How long a process may take to end.
const SOON: Duration = Duration::from_secs(40);

/// A folder with a configuration and an apply file in it.
struct Site {
    folder: TempDir,
    address: SocketAddr,
    secrets: Secrets,
}

/// All that must not be seen.
struct Secrets {
    app: String,
    federation: String,
    password: String,
}

impl Site {
    fn new() -> Self {
        let address = spare_address();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let site = Self { folder, address, secrets: Secrets { app: random(), federation: random(), password: random() } };
        site.write("vestibule.toml", &site.configuration(""));
        site.write("terms.md", "# Terms\n\nBe kind.\n");
        site.write("tenants.toml", &site.tenants(""));
        site
    }

    fn configuration(&self, more_listeners: &str) -> String {
        let Self { address, .. } = self;
        format!(
            "public_url = \"http://localhost:{port}\"\ndata = \"data\"\ndrain_seconds = 20\n\n[[listen]]\naddress = \"{address}\"\n\
             {more_listeners}\n[mail]\nfrom_name = \"Vestibule\"\nfrom = \"guests@contoso.example\"\nfolder = \"mail\"\n",
            port = address.port()
        )
    }

    fn tenants(&self, more: &str) -> String {
        let Secrets { app, federation, password } = &self.secrets;
        let tenant = declared::tenant(TENANT, "Contoso", &[("contoso.example", true)]);
        let app = declared::app(APP, "Directory tools", app);
        format!(
            r#"
            {tenant}
            {app}
            permissions = ["User.Read.All"]
            [[tenant.federation]]
            display_name = "Fabrikam"
            issuer = "https://login.fabrikam.example"
            client_id = "contoso"
            client_secret = "{federation}"
            domains = ["fabrikam.example"]
            [[tenant.agreement]]
            name = "Terms"
            [[tenant.agreement.file]]
            language = "en"
            display_name = "Terms of use"
            path = "terms.md"
            [[tenant.user]]
            user_type = "Member"
            display_name = "Adele Vance"
            mail = "adele@contoso.example"
            password = "{password}"
            {more}
            "#
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("a file");
    }

    /// Runs a command on this site's configuration.
    fn command(&self, arguments: &[&str]) -> Output {
        let config = self.path("vestibule.toml");
        run(&[arguments, &["--config", text(&config)]].concat())
    }

    /// Applies the apply file; gives the report.
    fn apply(&self) -> Value {
        serde_json::from_str(&done(&self.command(&["apply", text(&self.path("tenants.toml")), "--json"]))).expect("JSON")
    }

    async fn serve(&self) -> Process {
        let process = self.spawn(&[]);
        self.ready(&process).await;
        process
    }

    fn spawn(&self, environment: &[(&str, &str)]) -> Process {
        let mut command = vestibule();
        command.args(["serve", "--config", text(&self.path("vestibule.toml"))]).envs(environment.iter().copied());
        Process::spawn(command).0
    }

    async fn ready(&self, process: &Process) {
        let (http, deadline) = (client(), Instant::now() + READY_WITHIN);
        while http.get(self.url("/readyz")).send().await.map_or(true, |answer| answer.status() != 200) {
            assert!(Instant::now() < deadline, "not ready:\n{}", process.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// The JWKS of the tenant.
    async fn keys(&self) -> Vec<Value> {
        let discovery = self.url(&format!("/{TENANT}/v2.0/.well-known/openid-configuration"));
        let metadata: Value = client().get(discovery).send().await.expect("sent").json().await.expect("JSON");
        let jwks = metadata["jwks_uri"].as_str().expect("jwks_uri").to_owned();
        let keys: Value = client().get(jwks).send().await.expect("sent").json().await.expect("JSON");
        keys["keys"].as_array().expect("keys").clone()
    }

    /// The status of the tenant's discovery document, by its domain.
    async fn metadata(&self) -> u16 {
        let discovery = self.url("/contoso.example/v2.0/.well-known/openid-configuration");
        client().get(discovery).send().await.expect("sent").status().as_u16()
    }

    /// What the administrator's program gets when it asks for a token.
    async fn ask_for_token(&self) -> reqwest::Response {
        let form = [("grant_type", "client_credentials".to_owned()), ("scope", self.url("/.default"))];
        let request = client().post(self.url(&format!("/{TENANT}/oauth2/v2.0/token")));
        request.basic_auth(APP, Some(&self.secrets.app)).form(&form).send().await.expect("sent")
    }

    async fn token(&self) -> String {
        let answer = self.ask_for_token().await;
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.expect("JSON");
        answer["access_token"].as_str().expect("an access token").to_owned()
    }
}

fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30));
    builder.redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

/// The standard output of a command that must have succeeded.
#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// The standard error of a command that must have failed.
#[track_caller]
fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a file");
}
