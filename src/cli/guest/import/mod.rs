//! `guest import`: invites everybody in a file.
//!
//! The file is read twice: once to find out whether all of it can be read and how much it is, then row by row. Only the rows that
//! are being sent are in memory, and 16 bytes for each address, to tell who is in the file twice.

mod file;
mod results;
mod send;

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use futures_util::{StreamExt, stream::FuturesUnordered};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;

use super::{
    api::{Api, BATCH_MAX},
    connection::Connection,
    out,
    table::visible,
};
use file::{FileError, Row, Rows};
use results::{Entry, Key, Results, Status};
use send::{Task, Window};

/// How many reasons are printed; all of them are in the results.
const REASONS_MAX: u64 = 20;

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// The file: CSV in UTF-8, with a line `version:v1.0`, headings with [inviteeEmail], [inviteRedirectURL], [sendEmail] and
    /// [customizedMessageBody], and a row for each guest.
    file: PathBuf,
    /// Only say what is wrong with the file.
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: say of whom the organisation knows already.
    #[arg(long, requires = "dry_run")]
    check_existing: bool,
    /// Write the links that redeem the invitations into the results. Who has a link can redeem in the place of a guest without a
    /// mail address, so keep the file safe.
    #[arg(long, conflicts_with = "dry_run")]
    links: bool,
    /// How many batches of 20 are sent at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    batches: u8,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// How many rows came to what.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    success: u64,
    failure: u64,
    /// Rows of the file.
    total: u64,
    /// Successes of earlier runs.
    before: u64,
    /// Invited without a mail: nobody has told them.
    without_mail: u64,
}

impl Import {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let name = self.file.display().to_string();
        let total = count(&self.file).with_context(|| name.clone())?;
        let mut summary = Summary { total, ..Summary::default() };
        if self.dry_run {
            self.rehearse(&mut summary).await.with_context(|| name.clone())?;
            return self.conclude(&summary, None);
        }
        let mut results = Results::open(&self.file)?;
        let api = Api::connect(&self.connection).await?;
        let bar = progress(total);
        let ended = self.invite(&api, &mut results, &mut summary, &bar).await;
        bar.finish_and_clear();
        let again = "; what is done is in the results, and the same command goes on from there";
        match ended {
            Ok(true) => results.settled()?,
            Ok(false) => out::note(&format!("interrupted{again}")),
            Err(error) => out::note(&format!("{error:#}{again}")),
        }
        self.conclude(&summary, Some(results.path()))
    }

    /// Goes through the file without asking for anything.
    async fn rehearse(&self, summary: &mut Summary) -> anyhow::Result<()> {
        let api = if self.check_existing { Some(Api::connect(&self.connection).await?) } else { None };
        let (mut rows, mut seen, mut known) = (Rows::open(&self.file)?, HashMap::new(), Vec::new());
        while let Some(row) = rows.next()? {
            match checked(row, &mut seen) {
                Ok((_, task)) => {
                    summary.success += 1;
                    known.extend(api.as_ref().map(|_| (task.line, task.invitee.address)));
                }
                Err(entry) => {
                    summary.failure += 1;
                    self.tell(entry.line, &entry.message)?;
                }
            }
            if let Some(api) = api.as_ref().filter(|_| known.len() == BATCH_MAX) {
                self.tell_known(api, &mut known).await?;
            }
        }
        if let Some(api) = &api {
            self.tell_known(api, &mut known).await?;
        }
        Ok(())
    }

    async fn tell_known(&self, api: &Api, rows: &mut Vec<(u64, crate::domain::EmailAddress)>) -> anyhow::Result<()> {
        let found = send::known(api, rows).await?;
        for (line, state) in found {
            self.tell(line, &state)?;
        }
        rows.clear();
        Ok(())
    }

    fn tell(&self, line: u64, what: &str) -> anyhow::Result<()> {
        let said = if self.json { json!({ "line": line, "message": what }).to_string() } else { format!("line {line}: {what}") };
        Ok(out::line(&said)?)
    }

    /// Sends all rows that are not done; `false` when it was interrupted.
    async fn invite(&self, api: &Api, results: &mut Results, summary: &mut Summary, bar: &ProgressBar) -> anyhow::Result<bool> {
        let mut rows = Rows::open(&self.file)?;
        let (mut seen, mut exhausted, mut interrupted) = (HashMap::new(), false, false);
        let (mut waiting, mut window) = (VecDeque::new(), Window::default());
        let mut sending = FuturesUnordered::new();
        let mut interrupt = std::pin::pin!(super::interrupted());
        let mut failed = None;
        loop {
            let open = !interrupted && failed.is_none();
            while open && !exhausted && waiting.len() < BATCH_MAX && sending.len() < usize::from(self.batches) {
                let Some(row) = rows.next()? else {
                    exhausted = true;
                    break;
                };
                match checked(row, &mut seen) {
                    Ok((key, _)) if results.done.contains(&key) => {
                        summary.success += 1;
                        summary.before += 1;
                        bar.inc(1);
                    }
                    Ok((key, task)) => waiting.push_back(task.after(results.unsure.remove(&key))),
                    Err(entry) => self.record(results, summary, bar, std::slice::from_ref(&*entry))?,
                }
            }
            let full = waiting.len() == BATCH_MAX || (exhausted && !waiting.is_empty());
            if open && full && sending.len() < usize::from(self.batches) {
                let batch: Vec<Task> = waiting.drain(..).collect();
                let batch = window.open(batch, api.clock_ahead());
                results.sending(window.sent().chain(results.unsure.values()))?;
                sending.push(send::send(api, batch));
                continue;
            }
            if sending.is_empty() {
                break;
            }
            tokio::select! {
                Some((batch, ended)) = sending.next() => match ended {
                    Ok(outcomes) => {
                        summary.without_mail += outcomes.iter().filter(|outcome| outcome.silent).count() as u64;
                        let entries: Vec<_> = outcomes.into_iter().map(|outcome| outcome.entry(self.links)).collect();
                        self.record(results, summary, bar, &entries)?;
                        window.close(batch);
                    }
                    // What became of these stays open until the next run.
                    Err(error) => failed = Some(error),
                },
                () = &mut interrupt, if !interrupted => {
                    bar.set_message("stopping");
                    interrupted = true;
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(!interrupted),
        }
    }

    fn record(&self, results: &mut Results, summary: &mut Summary, bar: &ProgressBar, entries: &[Entry]) -> anyhow::Result<()> {
        results.add(entries)?;
        for entry in entries {
            if entry.status != Status::Failed {
                summary.success += 1;
                continue;
            }
            summary.failure += 1;
            if summary.failure <= REASONS_MAX && !self.json {
                let why = [entry.code.as_str(), &entry.message].join(" ");
                bar.suspend(|| self.tell(entry.line, visible(why.trim()).as_ref()))?;
            }
        }
        bar.inc(entries.len() as u64);
        Ok(())
    }

    fn conclude(&self, summary: &Summary, results: Option<&Path>) -> anyhow::Result<ExitCode> {
        let Summary { success, failure, total, before, without_mail } = summary;
        if self.json {
            out::line(&serde_json::to_string(summary)?)?;
        } else {
            if let Some(results) = results.filter(|_| *failure > REASONS_MAX) {
                out::line(&format!("… and {} more in {}", failure - REASONS_MAX, results.display()))?;
            }
            let before = if *before > 0 { format!(" ({before} before)") } else { String::new() };
            out::line(&format!("# Success: {success}{before}, # Failure: {failure}, Total: {total}"))?;
            if *without_mail > 0 && !self.links {
                let next = "mail them with `guest resend`, or import with --links to hand the links over yourself";
                out::note(&format!("{without_mail} were invited without a mail and know nothing of it: {next}"));
            }
            if let Some(results) = results {
                out::note(&format!("results: {}", results.display()));
            }
        }
        Ok(match (success, failure) {
            (success, _) if success == total => ExitCode::SUCCESS,
            (0, _) => ExitCode::FAILURE,
            _ => super::PARTLY.into(),
        })
    }
}

/// Reads the whole file, and counts its rows.
fn count(file: &Path) -> Result<u64, FileError> {
    let (mut rows, mut count) = (Rows::open(file)?, 0);
    while rows.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// What a row asks for; or the end of it.
fn checked(row: Row, seen: &mut HashMap<Key, u32>) -> Result<(Key, Task), Box<Entry>> {
    let Row { line, address, invitee } = row;
    let invitee = match invitee {
        Ok(invitee) => invitee,
        Err(why) => return Err(Box::new(Entry::failed(line, address, String::new(), why))),
    };
    let key = Key::of(&invitee.address);
    let here = u32::try_from(line).unwrap_or(u32::MAX);
    match *seen.entry(key).or_insert(here) {
        first if first == here => Ok((key, Task::new(line, invitee))),
        first => {
            let why = format!("line {first} invites the same address");
            Err(Box::new(Entry::failed(line, address, String::new(), why)))
        }
    }
}

/// How far it has come, on standard error where that is a terminal.
fn progress(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message("inviting");
    let style = ProgressStyle::with_template("{msg:9} [{bar:40}] {pos}/{len} rows, {eta} left");
    // Ours, and tried by every import.
    bar.set_style(style.expect("a template").progress_chars("=> "));
    bar
}
