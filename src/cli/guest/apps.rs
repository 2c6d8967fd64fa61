//! `guest assign` and `guest unassign`: who may use which app.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    api::{Api, Request, literal},
    connection::Connection,
    out,
    who::{self, text},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Assign {
    #[command(flatten)]
    pair: Pair,
    /// The value of a role in the app, which its tokens will carry.
    #[arg(long)]
    role: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Unassign {
    #[command(flatten)]
    pair: Pair,
}

#[derive(Debug, Args)]
struct Pair {
    /// The user: an id, a mail address, or a name in the directory.
    #[arg(value_name = "ID|MAIL")]
    user: String,
    /// The app: its client id or its name.
    app: String,
    /// Print what was done as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Pair {
    /// Both, by their ids.
    async fn find(&self) -> anyhow::Result<(Api, String, App)> {
        let api = Api::connect(&self.connection).await?;
        let user = who::id(&api, &self.user).await?;
        let app = App::find(&api, &self.app).await?;
        Ok((api, user, app))
    }

    fn tell(&self, done: &str, user: &str, app: &App) -> anyhow::Result<()> {
        let said = if self.json {
            json!({ "id": user, "appId": app.client_id, "done": done }).to_string()
        } else {
            format!("{done}: {} ({user}), {}", self.user, app.name)
        };
        Ok(out::line(&said)?)
    }
}

/// An app.
struct App {
    /// Of its service principal.
    id: String,
    client_id: String,
    name: String,
}

impl App {
    async fn find(api: &Api, app: &str) -> anyhow::Result<Self> {
        let property = if app.parse::<Uuid>().is_ok() { "appId" } else { "displayName" };
        let request = Request::get(&["servicePrincipals"]).query("$filter", &format!("{property} eq {}", literal(app)));
        let found = api.all(request.query("$select", "id,appId,displayName")).await?;
        let read = |app: &Value| Self { id: text(&app["id"]), client_id: text(&app["appId"]), name: text(&app["displayName"]) };
        match found.as_slice() {
            [app] => Ok(read(app)),
            [] => bail!("{app}: there is no such app"),
            several => {
                let ids: Vec<_> = several.iter().map(|app| read(app).client_id).collect();
                bail!("{app}: several apps have this name; name one by its client id: {}", ids.join(", "))
            }
        }
    }
}

impl Assign {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (api, user, app) = self.pair.find().await?;
        let mut body = json!({ "principalId": user, "resourceId": app.id, "appRoleId": Uuid::nil() });
        if let Some(role) = &self.role {
            body["vestibuleRole"] = json!(role);
        }
        api.ask(&Request::post(&["users", &user, "appRoleAssignments"]).json(body)).await?;
        self.pair.tell("assigned", &user, &app)
    }
}

impl Unassign {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (api, user, app) = self.pair.find().await?;
        let assignments = api.all(Request::get(&["users", &user, "appRoleAssignments"])).await?;
        let assignment = assignments.iter().find(|assignment| assignment["resourceId"].as_str() == Some(&app.id));
        let assignment = assignment.with_context(|| format!("{} is not assigned to {}", self.pair.user, app.name))?;
        api.ask(&Request::delete(&["users", &user, "appRoleAssignments", &text(&assignment["id"])])).await?;
        self.pair.tell("unassigned", &user, &app)
    }
}
