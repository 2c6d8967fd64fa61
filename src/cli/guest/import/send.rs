//! Sends rows of a bulk invitation, and finds out what became of them whatever happens on the way.

use std::time::Duration;

use anyhow::{Context, bail};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    file::Invitee,
    results::{Entry, Sent, Status},
};
use crate::{
    cli::guest::api::{Api, Refused, Reply, Request, literal},
    clock::{Clock, SystemClock},
    domain::EmailAddress,
};

/// How often a server is tried that does not answer, with a second more in between each time.
const ATTEMPTS: u32 = 6;
/// How much earlier than the moment of sending the server's clock may have said: `Date` is in whole seconds.
const GRAIN: SignedDuration = SignedDuration::from_secs(2);

/// A row to be sent.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) line: u64,
    pub(super) invitee: Invitee,
    /// It was sent before, not earlier than this, and nobody knows what became of it.
    unsure: Option<Timestamp>,
}

/// What became of a row.
pub(super) struct Outcome {
    task: Task,
    told: Told,
    /// Invited, and no mail says so.
    pub(super) silent: bool,
}

enum Told {
    Invited {
        id: String,
        link: Option<String>,
    },
    Accepted {
        id: String,
    },
    Refused(Refused),
    /// It went through in a run that was cut off.
    Found {
        id: String,
    },
}

/// The batches that are being sent.
#[derive(Default)]
pub(super) struct Window {
    batches: Vec<(u64, Vec<Sent>)>,
    last: u64,
}

/// A batch, by a number of its own.
pub(super) struct Batch {
    number: u64,
    tasks: Vec<Task>,
    since: Timestamp,
}

impl Task {
    pub(super) fn new(line: u64, invitee: Invitee) -> Self {
        Self { line, invitee, unsure: None }
    }

    /// The same, when it was sent before.
    pub(super) fn after(self, sent: Option<Sent>) -> Self {
        Self { unsure: sent.map(|sent| sent.since), ..self }
    }

    fn request(&self) -> Request {
        let Invitee { address, redirect, send, message } = &self.invitee;
        let mut body = json!({
            "invitedUserEmailAddress": address,
            "inviteRedirectUrl": redirect.as_str(),
            "sendInvitationMessage": send,
        });
        if let Some(message) = message {
            body["invitedUserMessageInfo"] = json!({ "customizedMessageBody": message });
        }
        Request::post(&["invitations"]).json(body)
    }
}

impl Window {
    /// Begins a batch.
    pub(super) fn open(&mut self, tasks: Vec<Task>, clock_ahead: SignedDuration) -> Batch {
        self.last += 1;
        let since = SystemClock.now() + clock_ahead - GRAIN;
        let sent = |task: &Task| Sent { address: task.invitee.address.clone(), since: task.unsure.unwrap_or(since) };
        self.batches.push((self.last, tasks.iter().map(sent).collect()));
        Batch { number: self.last, tasks, since }
    }

    /// Ends one.
    pub(super) fn close(&mut self, number: u64) {
        self.batches.retain(|(other, _)| *other != number);
    }

    /// All rows that are being sent.
    pub(super) fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.batches.iter().flat_map(|(_, sent)| sent)
    }
}

/// Sends a batch until each of its rows was answered; gives its number with what became of it.
///
/// # Errors
/// When the server cannot be reached, or does not do what it should, for longer than is waited for.
pub(super) async fn send(api: &Api, batch: Batch) -> (u64, anyhow::Result<Vec<Outcome>>) {
    (batch.number, deliver(api, batch).await)
}

async fn deliver(api: &Api, batch: Batch) -> anyhow::Result<Vec<Outcome>> {
    let Batch { mut tasks, since, .. } = batch;
    let mut outcomes = Vec::new();
    let mut attempt = 0;
    while !tasks.is_empty() {
        let (sent, wait) = match pass(api, &mut tasks, since, &mut outcomes).await {
            Ok(wait) => (Ok(()), wait),
            Err(error) => (Err(error), None),
        };
        match (sent, wait) {
            // Patience was asked for by a server that is well.
            (Ok(()), Some(wait)) => tokio::time::sleep(wait).await,
            (Ok(()), None) => {}
            (Err(error), _) => {
                attempt += 1;
                let refused = error.downcast_ref().is_some_and(|refused: &Refused| !refused.status.is_server_error());
                if attempt == ATTEMPTS || refused {
                    return Err(error);
                }
                tokio::time::sleep(Duration::from_secs(attempt.into())).await;
            }
        }
    }
    outcomes.sort_by_key(|outcome| outcome.task.line);
    Ok(outcomes)
}

/// Sends what is to be sent once; what is not answered for good stays in `tasks`. Gives how long to wait before the next time.
async fn pass(
    api: &Api,
    tasks: &mut Vec<Task>,
    since: Timestamp,
    outcomes: &mut Vec<Outcome>,
) -> anyhow::Result<Option<Duration>> {
    let mut at = 0;
    while at < tasks.len() {
        let task = &tasks[at];
        match task.unsure {
            Some(since) if let Some(id) = went_through(api, &task.invitee.address, since).await? => {
                let task = tasks.remove(at);
                outcomes.push(Outcome { silent: !task.invitee.send, task, told: Told::Found { id } });
            }
            _ => at += 1,
        }
    }
    if tasks.is_empty() {
        return Ok(None);
    }
    let requests: Vec<_> = tasks.iter().map(Task::request).collect();
    let replies = match api.batch(&requests).await {
        Ok(replies) => replies,
        Err(error) => {
            // Some of it may have been done.
            tasks.iter_mut().for_each(|task| task.unsure = task.unsure.or(Some(since)));
            return Err(error);
        }
    };
    let (mut wait, mut trouble) = (None, None);
    for (mut task, reply) in std::mem::take(tasks).into_iter().zip(replies) {
        let Some(refused) = reply.refused() else {
            outcomes.push(Outcome::of(task, &reply)?);
            continue;
        };
        match (refused.status, reply.wait()) {
            (StatusCode::TOO_MANY_REQUESTS, Some(until)) => {
                task.unsure = None;
                wait = wait.max(Some(until));
                tasks.push(task);
            }
            (status, _) if status.is_server_error() => {
                task.unsure = task.unsure.or(Some(since));
                trouble = Some(refused);
                tasks.push(task);
            }
            _ => outcomes.push(Outcome { task, told: Told::Refused(refused), silent: false }),
        }
    }
    match trouble {
        Some(refused) => bail!("{refused}"),
        None => Ok(wait),
    }
}

/// Whether somebody was invited under this address since then; gives the id of the user.
async fn went_through(api: &Api, address: &EmailAddress, since: Timestamp) -> anyhow::Result<Option<String>> {
    for filter in
        [format!("mail eq {}", literal(address.as_str())), format!("otherMails/any(m:m eq {})", literal(address.as_str()))]
    {
        let request = Request::get(&["users"]).query("$filter", &filter).query("$select", "id,vestibuleInvitation");
        let unknown = || format!("whether {address} was invited before this was cut off cannot be looked up");
        for user in api.all(request).await.with_context(unknown)? {
            let invitation = &user["vestibuleInvitation"];
            let created = invitation["createdDateTime"].as_str().and_then(|created| created.parse::<Timestamp>().ok());
            if invitation["address"].as_str() == Some(address.as_str()) && created.is_some_and(|created| created >= since) {
                return Ok(user["id"].as_str().map(str::to_owned));
            }
        }
    }
    Ok(None)
}

/// Which of these addresses belong to somebody already, with who it is, in words.
pub(super) async fn known(api: &Api, rows: &[(u64, EmailAddress)]) -> anyhow::Result<Vec<(u64, String)>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let look_up = |address: &EmailAddress| {
        let filter = format!("mail eq {}", literal(address.as_str()));
        Request::get(&["users"]).query("$filter", &filter).query("$select", "id,userType,externalUserState,accountEnabled")
    };
    let requests: Vec<_> = rows.iter().map(|(_, address)| look_up(address)).collect();
    let mut known = Vec::new();
    for ((line, address), reply) in rows.iter().zip(api.batch(&requests).await?) {
        if let Some(refused) = reply.refused() {
            return Err(refused.into());
        }
        if let Some(user) = reply.body["value"].get(0) {
            let blocked = if user["accountEnabled"] == false { ", blocked" } else { "" };
            let state = user["externalUserState"].as_str().unwrap_or("not a guest");
            known.push((*line, format!("{address} is known already ({state}{blocked})")));
        }
    }
    Ok(known)
}

impl Outcome {
    fn of(task: Task, reply: &Reply) -> anyhow::Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (Some(id), Some(status)) = (text(&reply.body["invitedUser"]["id"]), reply.body["status"].as_str()) else {
            bail!("the server answered an invitation with something else");
        };
        let accepted = status == "Completed";
        let link = text(&reply.body["inviteRedeemUrl"]);
        let silent = !accepted && reply.body["vestibuleDelivery"].as_str() != Some("Queued");
        let told = if accepted { Told::Accepted { id } } else { Told::Invited { id, link } };
        Ok(Self { task, told, silent })
    }

    /// As a line of the results.
    pub(super) fn entry(self, links: bool) -> Entry {
        let Task { line, invitee, .. } = self.task;
        let address = invitee.address.to_string();
        let done = |status, id, message: &str| {
            let message = message.to_owned();
            Entry { line, address: address.clone(), status, id, code: String::new(), message, link: String::new() }
        };
        match self.told {
            Told::Refused(refused) => Entry::failed(line, address, refused.code, refused.message),
            Told::Accepted { id } => done(Status::Accepted, id, "has accepted already; nothing was sent"),
            Told::Found { id } => {
                let lost = if links { "; its link was not told, and a new one comes with a new invitation" } else { "" };
                done(Status::Invited, id, &format!("was sent by a run that was cut off{lost}"))
            }
            Told::Invited { id, link } => {
                Entry { link: link.filter(|_| links).unwrap_or_default(), ..done(Status::Invited, id, "") }
            }
        }
    }
}

impl Entry {
    /// A row that was not invited.
    pub(super) fn failed(line: u64, address: String, code: String, message: String) -> Self {
        Self { line, address, status: Status::Failed, id: String::new(), code, message, link: String::new() }
    }
}
