//! `store`: the store as a whole.

#[cfg(feature = "embedded")]
mod backup;
mod check;
mod copy;
mod progress;

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Subcommand;

use super::reached;
use crate::{
    clock::{Clock, SystemEntropy},
    secret::Secret,
    store::{Location, Opened},
};

/// What the exit status says, for `--help`.
const EXIT_STATUS: &str = "Exit status: 0 when it was done, 1 when it was refused or failed, 2 when the command line is wrong.";

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Copies a store into an empty one, of the same or another sort, and verifies the copy.
    ///
    /// Stop every server that uses the source first: the copy fails when anything is written there meanwhile. A copy that
    /// was cut off leaves a target that no server starts on. The key ring is not part of a store: the target needs the same.
    #[command(after_help = EXIT_STATUS)]
    Copy(copy::Copy),
    /// Reads a whole store and says what is wrong in it: damaged records, references that lead nowhere, documents that are
    /// not whole, audit logs that were changed, secrets that the key ring does not open.
    ///
    /// No record is changed. The running server does it, where there is one. Without a key ring, what is sealed stays unopened.
    #[command(after_help = "Exit status: 0 when all is well, 1 when there are problems or the store cannot be read, 2 when the \
                            command line is wrong.")]
    Check(check::Check),
    /// Writes a backup of the store's file, as of one moment, while the server runs or not.
    ///
    /// The backup is a new file that only its owner can read; an existing one is never written over. It does not hold the
    /// key ring, without which it cannot be used: keep a copy of that as well, in another place. The running server writes
    /// the file, with its own rights.
    #[cfg(feature = "embedded")]
    #[command(after_help = EXIT_STATUS)]
    Backup(backup::Backup),
    /// Puts a backup in the place of the store's file. No server may be running.
    ///
    /// A backup does not know what ended after it was taken. So at the next start all sessions, refresh tokens and one-time
    /// codes end, mails that waited are dropped, and everybody signs in again. What else was done since is undone and has to
    /// be done again: blocks and removals, rotated keys, changed passwords; guests who redeemed since redeem again.
    #[cfg(feature = "embedded")]
    #[command(after_help = EXIT_STATUS)]
    Restore(backup::Restore),
}

impl Store {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Copy(copy) => copy.run().await,
            Self::Check(check) => check.run().await,
            #[cfg(feature = "embedded")]
            Self::Backup(backup) => backup.run().await,
            #[cfg(feature = "embedded")]
            Self::Restore(restore) => restore.run().await,
        }
    }
}

/// Where a store is, as an argument says. What is wrong with it is said without repeating it: there may be a password in it.
fn location(url: &Secret, name: &str) -> anyhow::Result<Location> {
    url.expose().parse::<Location>().map_err(|problem| anyhow!("{name}: {problem}"))
}

/// Opens a store, and waits until it can be used.
async fn open(location: &Location, clock: Arc<dyn Clock>) -> anyhow::Result<Opened> {
    let mut opened = location.open(clock, Arc::new(SystemEntropy))?;
    reached(location, &mut opened.ready).await?.map_err(|reason| anyhow!("{location}: {reason}"))?;
    Ok(opened)
}

/// Opens a store that has to be there: a mistyped path makes no new one.
async fn open_existing(location: &Location, clock: Arc<dyn Clock>) -> anyhow::Result<Opened> {
    if let Some(file) = location.file()
        && !file.try_exists().with_context(|| file.display().to_string())?
    {
        bail!("{}: there is no store", file.display());
    }
    open(location, clock).await
}
