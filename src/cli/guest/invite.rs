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
use crate::{domain::user::UserType, flows::guests::Purpose};

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
    /// Somebody else who is told of it, by a note without the link.
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
    fn tell(&self, purpose: Purpose, answer: Value) -> anyhow::Result<()> {
        self.said(purpose, answer).iter().try_for_each(|line| Ok(out::line(line)?))
    }

    /// The lines that say it. The link is in them where nobody else brings it, or it was asked for.
    fn said(&self, purpose: Purpose, mut answer: Value) -> Vec<String> {
        let delivery = answer["vestibuleDelivery"].as_str().map(str::to_owned);
        let link = match answer["inviteRedeemUrl"].take() {
            Value::String(link) if self.show_link || delivery.as_deref() != Some("Queued") => Some(link),
            _ => None,
        };
        if self.json {
            let mut answer = bare(&answer);
            answer["inviteRedeemUrl"] = json!(link);
            return vec![answer.to_string()];
        }
        let address = text(&answer["invitedUserEmailAddress"]);
        let (who, id) = (visible(&address), text(&answer["invitedUser"]["id"]));
        let done = match purpose {
            Purpose::Invite => format!("invited {who}"),
            Purpose::Resend => format!("made a new link for {who}, which ends the one before"),
            Purpose::Reset => format!("reset {who}, who proves once more who they are"),
        };
        let what = match (answer["status"].as_str(), delivery.as_deref()) {
            (Some("Completed"), _) => format!("{who} has accepted already; nothing was sent"),
            (_, Some("Queued")) => format!("{done}; the mail is queued"),
            (_, Some("Suppressed")) => format!("{done}; the guest wants no invitations by mail: bring the link yourself"),
            _ => format!("{done}; nothing was mailed"),
        };
        let blocked = (answer["vestibuleWasBlocked"] == true).then(|| {
            "  somebody with this address was blocked, and deleted since: with this invitation they may come in again".to_owned()
        });
        let link = link.map(|link| format!("  link {link}"));
        [format!("{what} (user {id})")].into_iter().chain(blocked).chain(link).collect()
    }
}

impl Invite {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut body = self.letter.members()?;
        let api = Api::connect(&self.connection).await?;
        let mut say = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        say("invitedUserEmailAddress", json!(self.address));
        say("invitedUserType", json!(if self.member { UserType::Member } else { UserType::Guest }.label()));
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
        self.letter.tell(Purpose::Invite, api.ask(&Request::post(&["invitations"]).json(body.into())).await?)
    }
}

impl Resend {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let body = self.letter.members()?;
        again(&self.connection, &self.user, Purpose::Resend, body, &self.letter).await
    }
}

impl Reset {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut body = self.letter.members()?;
        body.extend(self.to.map(|to| ("invitedUserEmailAddress".to_owned(), json!(to))));
        again(&self.connection, &self.user, Purpose::Reset, body, &self.letter).await
    }
}

async fn again(
    connection: &Connection,
    user: &str,
    purpose: Purpose,
    body: Map<String, Value>,
    letter: &Letter,
) -> anyhow::Result<()> {
    let api = Api::connect(connection).await?;
    let id = who::id(&api, user).await?;
    let action = if purpose == Purpose::Reset { "resetRedemption" } else { "resendInvitation" };
    let request = Request::post(&["users", &id, action]).json(body.into());
    letter.tell(purpose, api.ask(&request).await.map_err(|error| unknown(error, user))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of an answer with this delivery, when the link was not asked for.
    fn said(delivery: Value, json: bool) -> String {
        said_of(Purpose::Invite, delivery, json)
    }

    fn said_of(purpose: Purpose, delivery: Value, json: bool) -> String {
        let letter =
            Letter { message: None, message_file: None, language: None, cc: None, no_mail: false, show_link: false, json };
        let answer = json!({
            "inviteRedeemUrl": "https://guests.example/redeem",
            "invitedUserEmailAddress": "ana@fabrikam.example",
            "status": "PendingAcceptance",
            "invitedUser": { "id": "7" },
            "vestibuleDelivery": delivery,
        });
        letter.said(purpose, answer).join("\n")
    }

    #[test]
    fn sending_again_and_resetting_are_not_called_inviting() {
        let again = said_of(Purpose::Resend, json!("Queued"), false);
        assert_eq!(again, "made a new link for ana@fabrikam.example, which ends the one before; the mail is queued (user 7)");
        let reset = said_of(Purpose::Reset, json!("Queued"), false);
        assert!(reset.starts_with("reset ana@fabrikam.example, who proves"), "{reset}");
    }

    #[test]
    fn t_04_the_link_is_told_where_no_mail_brings_it() {
        assert_eq!(said(json!("Queued"), false), "invited ana@fabrikam.example; the mail is queued (user 7)");
        let suppressed = said(json!("Suppressed"), false);
        assert!(suppressed.contains("wants no invitations by mail"), "{suppressed}");
        assert!(suppressed.ends_with("(user 7)\n  link https://guests.example/redeem"), "{suppressed}");
        assert_eq!(
            said(Value::Null, false),
            "invited ana@fabrikam.example; nothing was mailed (user 7)\n  link https://guests.example/redeem"
        );
        assert!(said(json!("Suppressed"), true).contains("guests.example/redeem"));
        assert!(!said(json!("Queued"), true).contains("guests.example/redeem"));
    }
}
