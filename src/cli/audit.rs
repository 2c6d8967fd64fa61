//! `audit`: what is in the audit logs of tenants, and whether they are unchanged.

use std::str::FromStr;

use anyhow::bail;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Target,
    operation::{Failure, Operation, tenant},
    say,
};
use crate::{
    domain::audit::{Event, Head},
    flows::{
        Foundation,
        audit::{self, LIST_MAX, Verified},
    },
    store::records::Store,
};

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Walks through audit logs and says whether every entry follows on the one before.
    ///
    /// Prints for each tenant the number of entries and the log's head: the number and the hash of its last entry. Note
    /// heads in another place from time to time, and give the last one with --head later: who can write to the store could
    /// otherwise take away the end of the log, or write all of it anew, and the rest would still be a good chain.
    #[command(after_help = "Exit status: 0 when the logs are unchanged, 1 when one was changed or could not be read, 2 when \
                            the command line is wrong.")]
    Verify(Verify),
    /// Lists the last entries of a tenant's audit log, the oldest of them first.
    List(List),
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The tenant: its id or one of its verified domains. Every tenant when left out.
    tenant: Option<String>,
    /// A head of this tenant's log that was noted earlier: the log must still hold that entry with that hash.
    #[arg(long, value_name = "SEQUENCE:HASH", requires = "tenant")]
    head: Option<Noted>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// The tenant: its id or one of its verified domains.
    tenant: String,
    /// Only entries from this time on, such as 2026-11-22T09:00:00Z.
    #[arg(long)]
    since: Option<Timestamp>,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIST_MAX)))]
    limit: u32,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// A head as it is printed: `SEQUENCE:HASH`.
#[derive(Clone, Debug)]
struct Noted(Head);

impl FromStr for Noted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (sequence, hash) = text.split_once(':')?;
            let hash = Some(hash).filter(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()))?;
            Some(Head { sequence: sequence.parse().ok()?, hash: hash.to_ascii_lowercase() })
        };
        parse().map(Self).ok_or("a head is the number of an entry, a colon, and its hash of 64 hexadecimal digits")
    }
}

impl Audit {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Verify(verify) => verify.run().await,
            Self::List(list) => list.run().await,
        }
    }
}

impl Verify {
    async fn run(self) -> anyhow::Result<()> {
        let operation = VerifyAudit { tenant: self.tenant, head: self.head.map(|Noted(head)| head) };
        let logs = self.target.perform(operation).await?;
        if self.json {
            say(&serde_json::to_string(&logs)?);
        }
        for Verified { tenant, entries, head, broken } in logs.iter().filter(|_| !self.json) {
            match broken {
                None => say(&format!("{tenant}  {entries} entries, unchanged, head {}:{}", head.sequence, head.hash)),
                Some(broken) => {
                    say(&format!("{tenant}  entry {}: {}; {entries} before it are good", broken.entry, broken.problem))
                }
            }
        }
        match logs.iter().filter(|log| log.broken.is_some()).count() {
            0 => Ok(()),
            1 => bail!("1 audit log was changed"),
            count => bail!("{count} audit logs were changed"),
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let events = self.target.perform(ListAudit { tenant: self.tenant, since: self.since, limit: self.limit }).await?;
        for event in &events {
            say(&if self.json { serde_json::to_string(event)? } else { line(event)? });
        }
        Ok(())
    }
}

/// An entry for people: number, time, who, what, and what the activity says of it.
fn line(event: &Event) -> serde_json::Result<String> {
    let actor = match serde_json::to_value(&event.actor)? {
        serde_json::Value::Object(named) => named.iter().map(|(kind, id)| format!("{kind} {}", plain(id))).collect(),
        word => plain(&word),
    };
    let activity = serde_json::to_value(&event.activity)?;
    let called = event.called.as_ref().map(|called| (&called.display_name, &called.principal_name));
    let mut line = format!("{:>8}  {:.0}  {actor:41}  {}", event.sequence, event.at, plain(&activity["activity"]));
    for (name, value) in activity.as_object().into_iter().flatten().filter(|(name, _)| *name != "activity") {
        line.push_str(&format!("  {name}: {}", plain(value)));
    }
    if let Some((name, principal)) = called {
        line.push_str(&format!("  called: {} <{}>", plain(&name.as_str().into()), plain(&principal.to_string().into())));
    }
    Ok(line)
}

/// A value without what a terminal would take for a command.
fn plain(value: &serde_json::Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Walks through the audit logs of one tenant or of all.
#[derive(Serialize, Deserialize)]
pub(super) struct VerifyAudit {
    tenant: Option<String>,
    head: Option<Head>,
}

impl Operation for VerifyAudit {
    const PATH: &'static str = "/audit/verify";
    const ALONE: bool = false;
    type Answer = Vec<Verified>;

    async fn perform(&self, foundation: &Foundation) -> Result<Vec<Verified>, Failure> {
        let snapshot = foundation.store.snapshot()?;
        let store = snapshot.map_or_else(|| foundation.store.clone(), Store::new);
        let tenants = match &self.tenant {
            Some(name) => vec![tenant(foundation, name).await?],
            None => audit::tenants(&**store.backend()).await?,
        };
        let mut logs = Vec::with_capacity(tenants.len());
        for tenant in tenants {
            logs.push(audit::verify(&store, tenant, self.head.as_ref()).await?);
        }
        Ok(logs)
    }
}

/// The last entries of a tenant's audit log.
#[derive(Serialize, Deserialize)]
pub(super) struct ListAudit {
    tenant: String,
    since: Option<Timestamp>,
    limit: u32,
}

impl Operation for ListAudit {
    const PATH: &'static str = "/audit/list";
    const ALONE: bool = false;
    type Answer = Vec<Event>;

    async fn perform(&self, foundation: &Foundation) -> Result<Vec<Event>, Failure> {
        let tenant = tenant(foundation, &self.tenant).await?;
        Ok(audit::list(&foundation.store, tenant, self.since, self.limit).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        TenantId, UserId,
        audit::{Activity, Actor, Called, Told},
    };

    #[test]
    fn whom_it_happened_to_is_named_and_the_name_acts_on_no_terminal() {
        let called = Called { display_name: "Ana\u{1b}[2J".into(), principal_name: "ana_x#EXT#@contoso.example".into() };
        let activity = Activity::InvitationsBlocked { user: UserId(uuid::Uuid::nil()) };
        let told = Told { activity, called: Some(called) };
        let tenant = TenantId(uuid::Uuid::nil());
        let (event, _) = Head::default().append(tenant, Timestamp::UNIX_EPOCH, Actor::Operator, told);
        let said = line(&event).unwrap();
        assert!(said.ends_with("  called: Ana\\u{1b}[2J <ana_x#EXT#@contoso.example>"), "{said}");
    }
}
