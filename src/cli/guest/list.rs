//! `guest list`.

use std::io;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{
    api::{Api, Request, literal},
    connection::Connection,
    out,
    table::Table,
    who::text,
};

/// What is selected.
const SELECT: &str = "id,displayName,mail,otherMails,userPrincipalName,userType,externalUserState,externalUserStateChangeDateTime,\
     source,invitationAccepted,accountEnabled,createdDateTime,deletedDateTime";
/// The columns.
const HEADINGS: &[&str] = &["Name", "Mail", "State", "Source", "Invitation accepted", "Blocked", "Since"];
/// The columns of deleted guests.
const DELETED_HEADINGS: &[&str] = &["Name", "Mail", "State", "Source", "Invitation accepted", "Blocked", "Deleted", "Id"];
/// The largest page (as in Graph).
const PAGE_MAX: usize = 999;
/// How many are listed when nothing is said of it.
const SOME: usize = 100;

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only those in this state.
    #[arg(long)]
    state: Option<State>,
    /// Only those that this OData filter matches: `accountEnabled eq false`.
    #[arg(long, value_name = "ODATA")]
    filter: Option<String>,
    /// Only those whose name or address begins with this.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Those who were deleted and can be restored, with their ids.
    #[arg(long)]
    deleted: bool,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = SOME, conflicts_with = "all", value_parser = positive)]
    limit: usize,
    /// All of them.
    #[arg(long)]
    all: bool,
    /// Print each as a JSON object on a line of its own.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Pending,
    Accepted,
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a number from 1 on".to_owned())
}

impl List {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let api = Api::connect(&self.connection).await?;
        let mut left = if self.all { usize::MAX } else { self.limit };
        let (of, headings): (&[&str], _) = match self.deleted {
            false => (&["users"], HEADINGS),
            true => (&["directory", "deletedItems", "microsoft.graph.user"], DELETED_HEADINGS),
        };
        let page = Request::get(of).query("$filter", &self.condition()).query("$select", SELECT);
        let mut next = Some(page.query("$top", &left.min(PAGE_MAX).to_string()));
        let (mut table, mut listed) = (Table::new(io::stdout(), headings), 0);
        while let Some(request) = next.take().filter(|_| left > 0) {
            let (mut users, after) = api.page(&request).await?;
            let more = users.len() > left || after.is_some();
            users.truncate(left);
            (left, listed) = (left - users.len(), listed + users.len());
            if self.json {
                users.iter().try_for_each(|user| out::line(&bare(user).to_string()))?;
            } else {
                table.rows(&users.iter().map(if self.deleted { deleted_row } else { row }).collect::<Vec<_>>())?;
            }
            if more && left == 0 {
                out::note(&format!("these are the first {listed}; --all lists all of them"));
            }
            next = after;
        }
        if listed == 0 && !self.json {
            out::note("no guests");
        }
        Ok(())
    }

    /// Guests are those who have such a state, members who prove somewhere else who they are among them.
    fn condition(&self) -> String {
        let state = match self.state {
            None => "externalUserState in ('PendingAcceptance','Accepted')",
            Some(State::Pending) => "externalUserState eq 'PendingAcceptance'",
            Some(State::Accepted) => "externalUserState eq 'Accepted'",
        };
        let search = self.search.as_deref().map(|text| {
            let text = literal(text);
            format!(" and (startswith(displayName,{text}) or startswith(mail,{text}) or otherMails/any(m:startswith(m,{text})))")
        });
        // First, so that what a refusal says of its bytes is of what the person typed.
        let filter = self.filter.as_ref().map(|filter| format!("({filter}) and "));
        [&filter.unwrap_or_default(), state, &search.unwrap_or_default()].concat()
    }
}

fn row(user: &Value) -> Vec<String> {
    let or_none = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    vec![
        text(&user["displayName"]),
        mail(user),
        or_none(&user["externalUserState"]),
        or_none(&user["source"]),
        or_none(&user["invitationAccepted"]),
        blocked(user).to_owned(),
        since(&user["externalUserStateChangeDateTime"]),
    ]
}

/// The same of one who was deleted, with when, and with the id, which names them where several had an address.
fn deleted_row(user: &Value) -> Vec<String> {
    let mut row = row(user);
    row.pop();
    row.extend([since(&user["deletedDateTime"]), text(&user["id"])]);
    row
}

/// The address that a user is reached under.
pub(super) fn mail(user: &Value) -> String {
    user["mail"].as_str().or_else(|| user["otherMails"].get(0)?.as_str()).unwrap_or("-").to_owned()
}

/// Whether a user is kept out.
pub(super) fn blocked(user: &Value) -> &'static str {
    if user["accountEnabled"] == false { "Yes" } else { "No" }
}

/// A moment to the minute, in UTC.
pub(super) fn since(moment: &Value) -> String {
    let moment = moment.as_str().and_then(|moment| moment.parse::<jiff::Timestamp>().ok());
    moment.map_or_else(|| "-".to_owned(), |moment| moment.strftime("%Y-%m-%d %H:%MZ").to_string())
}

/// A resource without what is of OData itself.
pub(super) fn bare(resource: &Value) -> Value {
    let mut resource = resource.clone();
    if let Value::Object(members) = &mut resource {
        members.retain(|name, _| !name.contains("@odata."));
    }
    resource
}
