//! `guest invite`, and the two ways to invite the same guest again: `resend` and `reset`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    api::{Api, Request},
    connection::Connection,
    list::bare,
    out,
    table::visible,
    who::{self, text, unknown},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Invite {
    /// The mail address to invite.
    address: String,
    /// Where the guest is led afterwards: into an app of the organisation. Without it, the apps panel.
    #[arg(long, value_name = "URL")]
    redirect: Option<String>,
    /// The guest's name. Without it, what stands before the @.
    #[arg(long)]
    name: Option<String>,
    /// Make a member, not a guest, who proves somewhere else who they are.
    #[arg(long)]
    member: bool,
    /// Who answers for the guest, by id or mail address; may be given several times.
    #[arg(long, value_name = "ID|MAIL")]
    sponsor: Vec<String>,
    #[command(flatten)]
    letter: Letter,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Resend {
    /// The guest: an id, a mail address, or a name in the directory.
    #[arg(value_name = "ID|MAIL")]
    user: String,
    #[command(flatten)]
    letter: Letter,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Reset {
    /// The guest: an id, a mail address, or a name in the directory.
    #[arg(value_name = "ID|MAIL")]
    user: String,
    /// Invite under this address, which has to be one of the guest's.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    #[command(flatten)]
    letter: Letter,
    #[command(flatten)]
    connection: Connection,
}

/// What is mailed, and what is said of it here.
#[derive(Debug, Args)]
struct Letter {
    /// A text of yours in the mail.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// The same, from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "message")]
    message_file: Option<PathBuf>,
    /// The language of the mail: `de`, `pt-BR`.
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// Somebody else who gets the mail.
    #[arg(long, value_name = "ADDRESS")]
    cc: Option<String>,
    /// Mail nothing; the link is printed, and for you to hand over.
    #[arg(long, conflicts_with_all = ["message", "message_file", "cc"])]
    no_mail: bool,
    /// Print the link, too.
    #[arg(long)]
    show_link: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Letter {
    /// The members of a request that say what to mail.
    fn members(&self) -> anyhow::Result<Map<String, Value>> {
        let text = match &self.message_file {
            Some(file) => Some(std::fs::read_to_string(file).with_context(|| file.display().to_string())?),
            None => self.message.clone(),
        };
        let mut info = Map::new();
        info.extend(self.language.as_ref().map(|language| ("messageLanguage".to_owned(), json!(language))));
        info.extend(text.map(|text| ("customizedMessageBody".to_owned(), json!(text.trim_end()))));
        info.extend(self.cc.as_ref().map(|cc| ("ccRecipients".to_owned(), json!([{ "emailAddress": { "address": cc } }]))));
        let mut members = Map::new();
        members.insert("sendInvitationMessage".to_owned(), json!(!self.no_mail));
        if !info.is_empty() {
            members.insert("invitedUserMessageInfo".to_owned(), info.into());
        }
        Ok(members)
    }

    /// Says what became of it.
    fn tell(&self, mut answer: Value) -> anyhow::Result<()> {
        let link = match answer["inviteRedeemUrl"].take() {
            Value::String(link) if self.no_mail || self.show_link => Some(link),
            _ => None,
        };
        if self.json {
            let mut answer = bare(&answer);
            answer["inviteRedeemUrl"] = json!(link);
            return Ok(out::line(&answer.to_string())?);
        }
        let address = text(&answer["invitedUserEmailAddress"]);
        let (who, id) = (visible(&address), text(&answer["invitedUser"]["id"]));
        out::line(&match (answer["status"].as_str(), self.no_mail) {
            (Some("Completed"), _) => format!("{who} has accepted already; nothing was sent (user {id})"),
            (_, true) => format!("invited {who}; nothing was mailed (user {id})"),
            (_, false) => format!("invited {who}; the mail is queued (user {id})"),
        })?;
        if let Some(link) = link {
            out::line(&format!("  link {link}"))?;
        }
        Ok(())
    }
}

impl Invite {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut body = self.letter.members()?;
        let api = Api::connect(&self.connection).await?;
        let mut say = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        say("invitedUserEmailAddress", json!(self.address));
        say("invitedUserType", json!(if self.member { "Member" } else { "Guest" }));
        if let Some(redirect) = &self.redirect {
            say("inviteRedirectUrl", json!(redirect));
        }
        if let Some(name) = &self.name {
            say("invitedUserDisplayName", json!(name));
        }
        let mut sponsors = Vec::new();
        for sponsor in &self.sponsor {
            sponsors.push(json!({ "id": who::id(&api, sponsor).await? }));
        }
        if !sponsors.is_empty() {
            say("invitedUserSponsors", sponsors.into());
        }
        self.letter.tell(api.ask(&Request::post(&["invitations"]).json(body.into())).await?)
    }
}

impl Resend {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let body = self.letter.members()?;
        again(&self.connection, &self.user, "resendInvitation", body, &self.letter).await
    }
}

impl Reset {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut body = self.letter.members()?;
        body.extend(self.to.map(|to| ("invitedUserEmailAddress".to_owned(), json!(to))));
        again(&self.connection, &self.user, "resetRedemption", body, &self.letter).await
    }
}

async fn again(
    connection: &Connection,
    user: &str,
    action: &str,
    body: Map<String, Value>,
    letter: &Letter,
) -> anyhow::Result<()> {
    let api = Api::connect(connection).await?;
    let id = who::id(&api, user).await?;
    let request = Request::post(&["users", &id, action]).json(body.into());
    letter.tell(api.ask(&request).await.map_err(|error| unknown(error, user))?)
}
