//! `store backup` and `store restore`: the store in one file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::json;

use super::{open_existing, progress::Bar};
use crate::{
    cli::{
        Target,
        client::Client,
        operation::{BackUp, BackedUp},
        say,
    },
    clock::SystemClock,
    config::{Config, files::read_key_ring},
    seal::KeyRing,
    server,
    store::{
        Location,
        backup::{self, BackupError},
    },
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Backup {
    /// The file to write. Its folder has to be there.
    file: PathBuf,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Restore {
    /// The backup.
    file: PathBuf,
    /// When there is a store already, keep it aside under another name and put the backup in its place.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    target: Target,
}

impl Backup {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let config = self.target.configuration()?;
        file(&config.store)?;
        let path = std::path::absolute(&self.file).with_context(|| self.file.display().to_string())?;
        let done = match Client::connect(&config.data).await? {
            Some(client) => client.ask(&BackUp { file: path.clone() }).await?,
            None => alone(&config, &path).await?,
        };
        let name = path.display();
        if self.json {
            say(&json!({ "file": path, "records": done.records, "bytes": done.bytes }).to_string());
        } else {
            say(&format!("{name}: {} records, {} bytes, read again and the same", done.records, done.bytes));
            say("the key ring is not in it: keep a copy of that in another place");
        }
        Ok(())
    }
}

async fn alone(config: &Config, path: &Path) -> anyhow::Result<BackedUp> {
    let opened = open_existing(&config.store, Arc::new(SystemClock)).await?;
    let Some(take) = opened.snapshots else { bail!("{}: this store is not one file", config.store) };
    let mut bar = Bar::new();
    let copied = backup::back_up(&*take()?, path, Arc::new(SystemClock), &mut |step| bar.step(step)).await;
    bar.clear();
    let copied = copied?;
    Ok(BackedUp { records: copied.records, bytes: copied.bytes })
}

impl Restore {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let config = self.target.configuration()?;
        let store = file(&config.store)?;
        if Client::connect(&config.data).await?.is_some() {
            bail!("a server is running on {}; stop it first", config.data.display());
        }
        let ring = match &self.target.secrets.key_ring {
            Some(ring) => Some(KeyRing::parse(ring.expose()).context("the key ring of the environment")?),
            None => read_key_ring(&config.key_ring).ok(),
        };
        server::make_folder(&config.data)?;
        let fingerprint = ring.as_ref().map(KeyRing::fingerprint);
        let clock = Arc::new(SystemClock);
        let restored = backup::restore(&self.file, store, self.replace, fingerprint.as_deref(), clock).await;
        let restored = restored.map_err(|error| match error {
            BackupError::Occupied(_) => anyhow!("{error}; to put the backup in its place and keep it aside, add --replace"),
            error => error.into(),
        })?;
        let taken = restored.taken.map_or("at a time it does not tell".to_owned(), |taken| format!("at {taken}"));
        say(&format!("{}: {} records, from a backup taken {taken}", store.display(), restored.records));
        if let Some(kept) = restored.kept {
            say(&format!("the store of before is kept as {}", kept.display()));
        }
        if ring.is_none() {
            say(&format!("{}: put the key ring that belongs to it there before the next start", config.key_ring.display()));
        }
        say("at the next start all sessions, refresh tokens and one-time codes end; everybody signs in again");
        say("what was done after the backup was taken is undone: repeat blocks, removals, key rotations and changed passwords");
        Ok(())
    }
}

fn file(location: &Location) -> anyhow::Result<&Path> {
    let problem = || format!("{location}: only a store in one file can be backed up like this; Redis has means of its own");
    location.file().with_context(problem)
}
