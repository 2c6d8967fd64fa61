//! What the demo prints when it is ready: links to click, and who can sign in how.

use std::{fmt::Write, path::Path};

use serde::Serialize;

use super::{
    expenses,
    invited::Invitation,
    setting::{CONTOSO, GUESTS, Ids, REFUSED, Setting},
};
use crate::config::{Config, MailTransport};

/// Everything about a running demo.
#[derive(Serialize)]
pub(super) struct Shown {
    base_url: String,
    issuer: String,
    tenant_id: String,
    verified_domain: &'static str,
    mail_dir: String,
    links: Links,
    app: App,
    people: Vec<Person>,
    refused: Vec<Refused>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation: Option<Invitation>,
    admin: Admin,
    data_dir: String,
}

#[derive(Serialize)]
struct Links {
    panel_by_id: String,
    panel_by_domain: String,
    app: String,
    app_by_domain: String,
    common: String,
}

#[derive(Serialize)]
struct App {
    url: String,
    client_id: String,
    client_secret: String,
    redirect_uri: String,
}

#[derive(Serialize)]
struct Person {
    email: &'static str,
    name: &'static str,
    signs_in_with: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

#[derive(Serialize)]
struct Refused {
    email: &'static str,
    password: String,
    why: &'static str,
}

#[derive(Serialize)]
struct Admin {
    client_id: String,
    client_secret: String,
}

impl Shown {
    pub(super) fn of(setting: &Setting, ids: &Ids, config: &Config, data: &Path, invitation: Option<Invitation>) -> Self {
        let base = setting.base_url();
        let (tenant, app) = (ids.tenant, ids.expenses);
        let mail_dir = match &config.mail {
            MailTransport::Folder(folder) => folder.display().to_string(),
            MailTransport::Smtp { .. } => String::new(),
        };
        Self {
            issuer: ids.issuer.as_str().to_owned(),
            tenant_id: tenant.to_string(),
            verified_domain: CONTOSO,
            mail_dir,
            links: Links {
                panel_by_id: format!("{base}/?tenantid={tenant}"),
                panel_by_domain: format!("{base}/{CONTOSO}"),
                app: format!("{base}/signin/expenses/{app}?tenantId={tenant}"),
                app_by_domain: format!("{base}/{CONTOSO}/signin/expenses/{app}"),
                common: format!("{base}/signin/expenses/{app}"),
            },
            app: App {
                url: format!("{}/", setting.app_url()),
                client_id: app.to_string(),
                client_secret: setting.expenses_secret.clone(),
                redirect_uri: format!("{}{}", setting.app_url(), expenses::CALLBACK),
            },
            people: GUESTS
                .iter()
                .map(|person| Person {
                    email: person.email,
                    name: person.name,
                    signs_in_with: if person.fabrikam { "home_organisation" } else { "one_time_passcode" },
                    password: person.fabrikam.then(|| setting.password.clone()),
                })
                .collect(),
            refused: REFUSED.iter().map(|(email, why)| Refused { email, password: setting.password.clone(), why }).collect(),
            admin: Admin { client_id: ids.admin.to_string(), client_secret: setting.admin_secret.clone() },
            invitation,
            data_dir: data.display().to_string(),
            base_url: base,
        }
    }

    pub(super) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// The same for people, one thing a line.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("\nVestibule demo: Contoso shares the app Expenses with guests.\n\nOpen one of these:\n");
        let Links { panel_by_id, panel_by_domain, app, app_by_domain, common } = &self.links;
        for (what, link) in [
            ("the app, by tenant id", app),
            ("the app, by domain", app_by_domain),
            ("the app itself", &self.app.url),
            ("the apps panel, by tenant id", panel_by_id),
            ("the apps panel, by domain", panel_by_domain),
            ("a common link, which is refused", common),
        ] {
            let _ = writeln!(text, "  {what:<32} {link}");
        }
        text.push_str("\nSign in as:\n");
        for person in &self.people {
            let how = match &person.password {
                Some(password) => format!("at Fabrikam, with the password {password}"),
                None => format!("with a code that is mailed into {}", self.mail_dir),
            };
            let _ = writeln!(text, "  {:<32} {how}", person.email);
        }
        text.push_str("\nThese are refused, each for its own reason (same password):\n");
        for person in &self.refused {
            let _ = writeln!(text, "  {:<32} {}", person.email, person.why);
        }
        if let Some(Invitation { email, link }) = &self.invitation {
            let _ = write!(text, "\nAn invitation of {email}, to be accepted with a code that is mailed there:\n  {link}\n");
        }
        let Admin { client_id, client_secret } = &self.admin;
        let _ = write!(
            text,
            "\nThe directory API of Contoso, as its administrator's program (docs/directory-api.md):\n  \
             curl -u {client_id}:{client_secret} {}/{}/oauth2/v2.0/token -d grant_type=client_credentials -d scope={}/.default\n",
            self.base_url, self.tenant_id, self.base_url
        );
        let data = &self.data_dir;
        let program = std::env::current_exe().map_or_else(|_| "vestibule".to_owned(), |path| path.display().to_string());
        let _ = write!(
            text,
            "\nChange the terms in {data}/guest-terms.en.md, then publish them:\n  {program} apply {data}/tenants.toml --data {data}\n\
             Guests of Contoso:\n  {program} guest list --tenant {CONTOSO} --data {data}\n\nCtrl-C stops the demo.\n"
        );
        text
    }
}
