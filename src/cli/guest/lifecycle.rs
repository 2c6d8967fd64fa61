//! What is done to one user by name: `revoke`, `block`, `unblock`, `delete`, `restore`, `convert`.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{
    api::{Api, Request},
    connection::Connection,
    out,
    who::{self, unknown},
};
use crate::domain::user::UserType;

/// Whom, and where.
#[derive(Debug, Args)]
struct Whom {
    /// The user: an id, a mail address, or a name in the directory.
    #[arg(value_name = "ID|MAIL")]
    user: String,
    /// Print what was done as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

macro_rules! commands {
    ($($name:ident;)*) => {
        $(
            #[derive(Debug, Args)]
            pub(in crate::cli) struct $name {
                #[command(flatten)]
                whom: Whom,
            }
        )*
    };
}

commands! { Revoke; Block; Unblock; Restore; }

#[derive(Debug, Args)]
pub(in crate::cli) struct Delete {
    /// Delete a user for good who was deleted before, and could still be restored.
    #[arg(long)]
    permanently: bool,
    #[command(flatten)]
    whom: Whom,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Convert {
    /// What the user is to be. Who is invited stays invited.
    #[arg(long, value_name = "TYPE")]
    to: Type,
    #[command(flatten)]
    whom: Whom,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Type {
    Guest,
    Member,
}

impl Whom {
    /// Makes a request of the user's id, and says what was done.
    async fn done(&self, done: &str, deleted: bool, request: impl Fn(&str) -> Request) -> anyhow::Result<()> {
        let api = Api::connect(&self.connection).await?;
        let id = if deleted { who::deleted(&api, &self.user).await? } else { who::id(&api, &self.user).await? };
        api.ask(&request(&id)).await.map_err(|error| unknown(error, &self.user))?;
        let said =
            if self.json { json!({ "id": id, "done": done }).to_string() } else { format!("{done}: {} ({id})", self.user) };
        Ok(out::line(&said)?)
    }
}

impl Revoke {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.whom.done("revoked", false, |id| Request::post(&["users", id, "revokeInvitation"])).await
    }
}

impl Block {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.whom.done("blocked", false, |id| Request::patch(&["users", id]).json(json!({ "accountEnabled": false }))).await
    }
}

impl Unblock {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.whom.done("unblocked", false, |id| Request::patch(&["users", id]).json(json!({ "accountEnabled": true }))).await
    }
}

impl Delete {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        if self.permanently {
            return self.whom.done("deleted for good", true, |id| Request::delete(&["directory", "deletedItems", id])).await;
        }
        self.whom.done("deleted", false, |id| Request::delete(&["users", id])).await
    }
}

impl Convert {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (done, to) = match self.to {
            Type::Guest => ("now a guest", UserType::Guest),
            Type::Member => ("now a member", UserType::Member),
        };
        self.whom.done(done, false, |id| Request::patch(&["users", id]).json(json!({ "userType": to.label() }))).await
    }
}

impl Restore {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.whom.done("restored", true, |id| Request::post(&["directory", "deletedItems", id, "restore"])).await
    }
}
