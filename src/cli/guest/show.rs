//! `guest show`.

use clap::Args;
use http::StatusCode;
use serde_json::Value;

use super::{
    api::{Api, Refused, Request},
    connection::Connection,
    list::{bare, blocked, mail, since},
    out,
    table::visible,
    who::{self, text},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// The user: an id, a mail address, or a name in the directory.
    #[arg(value_name = "ID|MAIL")]
    user: String,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Show {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let api = Api::connect(&self.connection).await?;
        let mut user = who::find(&api, &self.user).await?;
        let id = text(&user["id"]);
        let select = "id,displayName,mail";
        user["sponsors"] = related(&api, Request::get(&["users", &id, "sponsors"]).query("$select", select)).await?;
        user["appRoleAssignments"] = related(&api, Request::get(&["users", &id, "appRoleAssignments"])).await?;
        if self.json {
            return Ok(out::line(&bare(&user).to_string())?);
        }
        for (name, value) in lines(&user) {
            out::line(&format!("{name:<21}{}", visible(&value)))?;
        }
        Ok(())
    }
}

/// What belongs to a user; null for an app that may not read it.
async fn related(api: &Api, request: Request) -> anyhow::Result<Value> {
    match api.all(request).await {
        Ok(all) => Ok(all.iter().map(bare).collect()),
        Err(error) => match error.downcast_ref::<Refused>() {
            Some(refused) if refused.status == StatusCode::FORBIDDEN => Ok(Value::Null),
            _ => Err(error),
        },
    }
}

fn lines(user: &Value) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("Name", text(&user["displayName"])),
        ("Mail", mail(user)),
        ("Id", text(&user["id"])),
        ("In the directory", text(&user["userPrincipalName"])),
        ("Type", text(&user["userType"])),
        ("Blocked", blocked(user).to_owned()),
        ("Created", since(&user["createdDateTime"])),
    ];
    if user["otherMails"].get(0).is_some() {
        lines.insert(2, ("Other addresses", several(&user["otherMails"], text)));
    }
    if let Some(state) = user["externalUserState"].as_str() {
        lines.push(("State", format!("{state}, since {}", since(&user["externalUserStateChangeDateTime"]))));
        lines.push(("Source", user["source"].as_str().unwrap_or("-").to_owned()));
        lines.push(("Invitation accepted", user["invitationAccepted"].as_str().unwrap_or("-").to_owned()));
    }
    let invitation = &user["vestibuleInvitation"];
    if invitation.is_object() {
        let state = match text(&invitation["state"]) {
            state if state == "Revoked" => format!("{state} (no link leads in until invited once more)"),
            state if state == "Ended" => {
                format!("{state} (its address was taken from the user, or the user was deleted; a direct link still leads in)")
            }
            state => state,
        };
        lines.push(("Invitation", format!("{state}, made {}", since(&invitation["createdDateTime"]))));
        if invitation["expirationDateTime"].is_string() {
            lines.push(("  ends", since(&invitation["expirationDateTime"])));
        }
        lines.push(("  to", invitation["address"].as_str().unwrap_or("nobody's address").to_owned()));
        lines.push(("  leads to", text(&invitation["inviteRedirectUrl"])));
        lines.push(("  mail", delivery(&invitation["delivery"])));
        if let Some(error) = invitation["delivery"]["lastError"].as_str() {
            lines.push(("  last error", error.to_owned()));
        }
    }
    lines.push((
        "Sponsors",
        several(&user["sponsors"], |sponsor| format!("{} <{}>", text(&sponsor["displayName"]), mail(sponsor))),
    ));
    lines.push((
        "Apps",
        several(&user["appRoleAssignments"], |assignment| {
            let app = text(&assignment["resourceDisplayName"]);
            assignment["vestibuleRole"].as_str().map_or_else(|| app.clone(), |role| format!("{app} ({role})"))
        }),
    ));
    lines
}

/// What became of the mail of an invitation.
fn delivery(delivery: &Value) -> String {
    let Some(state) = delivery["state"].as_str() else { return "none was asked for".to_owned() };
    let at = since(&delivery["stateChangeDateTime"]);
    match (state, delivery["attempts"].as_u64().unwrap_or_default()) {
        ("Queued", 0) => format!("queued since {at}"),
        ("Queued", attempts) => format!("queued since {at}, tried {attempts} times without success"),
        ("Suppressed", _) => format!("not sent: the guest wants no more of them ({at})"),
        (state, attempts) => format!("{} {at}, attempts: {attempts}", state.to_ascii_lowercase()),
    }
}

fn several(items: &Value, shown: impl Fn(&Value) -> String) -> String {
    match items.as_array() {
        None => "(no permission to read them)".to_owned(),
        Some(items) if items.is_empty() => "none".to_owned(),
        Some(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
    }
}
