//! The files of the demo: a configuration, the tenants, the terms. What is random is drawn once and kept.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::expenses;
use crate::{
    clock::Entropy,
    domain::{AppId, Domain, FederationId, TenantId, WebUrl, link::Sources},
    flows::Vestibule,
    oidc::Issuer,
    secret::Secret,
};

pub(super) const CONTOSO: &str = "contoso.example";
pub(super) const FABRIKAM: &str = "fabrikam.example";

/// What is drawn at the first run.
#[derive(Serialize, Deserialize)]
pub(super) struct Setting {
    pub(super) server_port: u16,
    pub(super) app_port: u16,
    /// Where the store is, when it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    contoso: TenantId,
    fabrikam: TenantId,
    pub(super) expenses_secret: String,
    pub(super) admin_secret: String,
    federation: FederationId,
    federation_client: AppId,
    federation_secret: String,
    /// The password of every member of Fabrikam.
    pub(super) password: String,
}

/// What the server made of the setting.
pub(super) struct Ids {
    pub(super) tenant: TenantId,
    pub(super) issuer: Issuer,
    pub(super) expenses: AppId,
    pub(super) admin: AppId,
}

/// Somebody of the demo.
pub(super) struct Person {
    pub(super) email: &'static str,
    pub(super) name: &'static str,
    /// Whether Fabrikam signs them in; else a code is mailed.
    pub(super) fabrikam: bool,
}

/// The guests of Contoso.
pub(super) const GUESTS: [Person; 2] = [
    Person { email: "maria@fabrikam.example", name: "Maria Rossi", fabrikam: true },
    Person { email: "sam@proseware.example", name: "Sam Lindqvist", fabrikam: false },
];

/// Members of Fabrikam whom Contoso does not let in, and why.
pub(super) const REFUSED: [(&str, &str); 2] = [
    ("noor@fabrikam.example", "was never invited"),
    ("zoe@fabrikam-labs.example", "was invited, but Fabrikam has not verified this domain and cannot vouch for the address"),
];

impl Setting {
    pub(super) fn new(server_port: u16, app_port: u16, store: Option<&Secret>, entropy: &dyn Entropy) -> Self {
        let secret = || Secret::random(entropy).expose().to_owned();
        Self {
            server_port,
            app_port,
            store: store.map(|url| url.expose().to_owned()),
            contoso: TenantId::random(entropy),
            fabrikam: TenantId::random(entropy),
            expenses_secret: secret(),
            admin_secret: secret(),
            federation: FederationId::random(entropy),
            federation_client: AppId::random(entropy),
            federation_secret: secret(),
            password: secret()[..16].to_owned(),
        }
    }

    /// The setting of the last run in this folder, if there was one.
    pub(super) fn read(data: &Path) -> anyhow::Result<Option<Self>> {
        match fs::read(data.join("demo.json")) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).context("demo.json")?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("demo.json"),
        }
    }

    /// The same, if it is where it was.
    pub(super) fn at(self, server_port: u16, app_port: u16) -> anyhow::Result<Self> {
        if (self.server_port, self.app_port) != (server_port, app_port) {
            let Self { server_port, app_port, .. } = self;
            bail!("this folder belongs to a demo on the ports {server_port} and {app_port}; free them, or use another folder");
        }
        Ok(self)
    }

    /// The same, if it has the store that was said, if one was.
    pub(super) fn over(self, store: Option<&Secret>) -> anyhow::Result<Self> {
        let same = store.is_none_or(|told| self.store.as_deref() == Some(told.expose()));
        anyhow::ensure!(same, "this folder belongs to a demo with another store; say that one, or use another folder");
        Ok(self)
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://localhost:{}", self.server_port)
    }

    pub(super) fn app_url(&self) -> String {
        format!("http://localhost:{}", self.app_port)
    }

    /// Writes the files. Those that are there already stay as they are: they can be changed and applied again.
    pub(super) fn write(&self, data: &Path, listen_port: u16) -> anyhow::Result<()> {
        let files = [
            ("demo.json", serde_json::to_string_pretty(self)?),
            ("vestibule.toml", self.configuration(listen_port)),
            ("tenants.toml", self.tenants()),
            ("guest-terms.en.md", include_str!("../../../assets/demo/guest-terms.en.md").to_owned()),
            ("guest-terms.de.md", include_str!("../../../assets/demo/guest-terms.de.md").to_owned()),
        ];
        for (name, text) in files {
            if !data.join(name).exists() {
                put(&data.join(name), text.as_bytes())?;
            }
        }
        Ok(())
    }

    fn configuration(&self, listen_port: u16) -> String {
        let (base, port) = (self.base_url(), self.server_port);
        let store = self
            .store
            .as_ref()
            .map_or_else(String::new, |url| format!("[store]\nurl = {}\n\n", toml::Value::String(url.clone())));
        format!(
            "# Written by `vestibule demo`.\n\
             public_url = \"{base}\"\n\
             data = \".\"\n\
             drain_seconds = 5\n\n\
             [[listen]]\n\
             address = \"127.0.0.1:{listen_port}\"\n\n\
             {store}[mail]\n\
             from_name = \"Guest access (demo)\"\n\
             from = \"guests@{CONTOSO}\"\n\
             folder = \"mail\"\n\n\
             [outbound]\n\
             # Fabrikam is a tenant of this very server, and is reached over HTTP like any other home organisation.\n\
             allow = [\"localhost:{port}\"]\n"
        )
    }

    /// The tenants of the demo. Change this file, or the terms beside it, and apply it again.
    fn tenants(&self) -> String {
        let (base, app) = (self.base_url(), self.app_url());
        let Self { contoso, fabrikam, expenses_secret, admin_secret, password, .. } = self;
        let Self { federation, federation_client, federation_secret, .. } = self;
        let guests: String = GUESTS
            .iter()
            .map(|person| (person.email, person.name))
            .chain([("zoe@fabrikam-labs.example", "Zoe Bianchi")])
            .map(|(mail, name)| format!("[[tenant.user]]\nmail = \"{mail}\"\ndisplay_name = \"{name}\"\n\n"))
            .collect();
        let members: String = [
            ("maria@fabrikam.example", "Maria Rossi"),
            ("noor@fabrikam.example", "Noor Haddad"),
            ("zoe@fabrikam-labs.example", "Zoe Bianchi"),
        ]
        .iter()
        .map(|(mail, name)| {
            format!(
                "[[tenant.user]]\nuser_type = \"Member\"\nmail = \"{mail}\"\ndisplay_name = \"{name}\"\npassword = \"{password}\"\n\n"
            )
        })
        .collect();
        format!(
            r##"# The tenants of `vestibule demo`. Change this file, or the terms beside it, and apply it again:
#   vestibule apply tenants.toml --data .

# Contoso shares an app with people from elsewhere.
[[tenant]]
id = "{contoso}"
display_name = "Contoso"
domains = [{{ name = "{CONTOSO}", verified = true }}, {{ name = "contoso-labs.example", verified = false }}]
branding = {{ accent = "#0b5cad" }}
privacy = {{ statement_url = "https://{CONTOSO}/privacy", contact_email = "privacy@{CONTOSO}" }}
policy = {{ contact = "guest-desk@{CONTOSO}" }}

[[tenant.app]]
display_name = "Expenses"
description = "Hand in what you paid, see what was paid back."
homepage = "{app}/"
redirect_uris = ["{app}{callback}"]
post_logout_redirect_uris = ["{app}{signed_out}"]
client_secret = "{expenses_secret}"

# The administrator's program: directory permissions, no people.
[[tenant.app]]
display_name = "Directory tools"
visible = false
assignment_required = true
client_secret = "{admin_secret}"
permissions = ["User.Invite.All", "User.ReadWrite.All", "Directory.ReadWrite.All", "Agreement.ReadWrite.All", "AuditLog.Read.All", "AppRoleAssignment.ReadWrite.All", "CrossTenantInformation.ReadBasic.All"]

[[tenant.federation]]
id = "{federation}"
display_name = "Fabrikam"
issuer = "{base}/{fabrikam}/v2.0"
client_id = "{federation_client}"
client_secret = "{federation_secret}"
domains = ["{FABRIKAM}", "fabrikam-labs.example"]

[[tenant.agreement]]
name = "guest-terms"
must_open = true
users = "guests"

[[tenant.agreement.file]]
language = "en"
display_name = "Terms of use for guests"
path = "guest-terms.en.md"

[[tenant.agreement.file]]
language = "de"
display_name = "Nutzungsbedingungen für Gäste"
path = "guest-terms.de.md"

{guests}# Fabrikam is the home organisation of some of them.
[[tenant]]
id = "{fabrikam}"
display_name = "Fabrikam"
domains = [{{ name = "{FABRIKAM}", verified = true }}, {{ name = "fabrikam-labs.example", verified = false }}]
branding = {{ accent = "#7a3e9d" }}

[[tenant.app]]
id = "{federation_client}"
display_name = "Contoso"
description = "Signs people of Fabrikam in at Contoso."
visible = false
redirect_uris = ["{base}/{contoso}/federation/{federation}/callback"]
client_secret = "{federation_secret}"

{members}"##,
            callback = expenses::CALLBACK,
            signed_out = expenses::SIGNED_OUT,
        )
    }

    /// What the app needs to know.
    pub(super) fn expenses(&self, ids: &Ids) -> anyhow::Result<expenses::Settings> {
        let app_url: WebUrl = self.app_url().parse().map_err(anyhow::Error::msg)?;
        let base: WebUrl = self.base_url().parse().map_err(anyhow::Error::msg)?;
        Ok(expenses::Settings {
            issuer: ids.issuer.clone(),
            client_id: ids.expenses,
            client_secret: Secret::new(self.expenses_secret.clone()),
            app_url,
            server: base,
        })
    }
}

impl Ids {
    pub(super) async fn find(vestibule: &Vestibule) -> anyhow::Result<Self> {
        let contoso: Domain = CONTOSO.parse()?;
        let sources = Sources { path: Some(contoso.as_str()), ..Sources::default() };
        let view = vestibule.directory.context(sources).await?;
        let app = |name: &str| view.apps.values().find(|app| app.display_name == name).map(|app| app.id);
        let (Some(expenses), Some(admin)) = (app("Expenses"), app("Directory tools")) else {
            bail!("tenants.toml has no app Expenses or no Directory tools");
        };
        Ok(Self { tenant: view.tenant.id, issuer: view.keys.issuer().clone(), expenses, admin })
    }
}

/// Writes a file that only its owner can read: there are secrets in it.
fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes).with_context(|| path.display().to_string())
}
