//! `store check`.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;

use super::{location, open_existing};
use crate::{
    cli::{Target, client::Client, operation::CheckStore, say, secret},
    clock::SystemClock,
    config::files::read_key_ring,
    flows::check::{Report, check},
    seal::KeyRing,
    secret::Secret,
    store::Location,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// The store, as a path or a URL, when it is not the one of the configuration: a copy, a backup. It must not be in use
    /// as a file. What is sealed is opened when VESTIBULE_KEY_RING holds the ring.
    #[arg(value_parser = secret, conflicts_with_all = ["config", "data"])]
    url: Option<Secret>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Check {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let report = self.report().await?;
        if self.json {
            say(&serde_json::to_string(&report)?);
        } else {
            show(&report);
        }
        match report.problems.len() as u64 + report.more_problems {
            0 => Ok(()),
            1 => bail!("1 problem was found"),
            count => bail!("{count} problems were found"),
        }
    }

    async fn report(&self) -> anyhow::Result<Report> {
        let environment = self.target.secrets.key_ring.as_ref();
        let ring =
            environment.map(|ring| KeyRing::parse(ring.expose())).transpose().context("the key ring of the environment")?;
        if let Some(url) = &self.url {
            return check_alone(&location(url, "the store")?, ring.as_ref()).await;
        }
        let config = self.target.configuration()?;
        if let Some(client) = Client::connect(&config.data).await? {
            return client.ask(&CheckStore {}).await;
        }
        let ring = ring.or_else(|| read_key_ring(&config.key_ring).ok());
        check_alone(&config.store, ring.as_ref()).await
    }
}

/// Checks a store that no server of this machine has open, and makes none.
async fn check_alone(location: &Location, ring: Option<&KeyRing>) -> anyhow::Result<Report> {
    #[cfg(feature = "embedded")]
    if let Some(file) = location.file().filter(|file| file.exists()) {
        // Records that read well may have been changed all the same.
        crate::store::embedded::EmbeddedStore::verify(file).with_context(|| file.display().to_string())?;
    }
    let opened = open_existing(location, Arc::new(SystemClock)).await?;
    let snapshot = opened.snapshots.as_ref().map(|take| take()).transpose()?;
    let one_moment = snapshot.is_some();
    Ok(check(&*snapshot.unwrap_or(opened.store), ring, one_moment).await?)
}

fn show(report: &Report) {
    say(&format!("{:32} {:>10} {:>14}", "kind", "records", "bytes"));
    for count in &report.kinds {
        say(&format!("{:32} {:>10} {:>14}", count.name, count.records, count.bytes));
    }
    let sum = |of: fn(&crate::flows::check::KindCount) -> u64| report.kinds.iter().map(of).sum::<u64>();
    say(&format!("{:32} {:>10} {:>14}", "in all", sum(|count| count.records), sum(|count| count.bytes)));
    for problem in &report.problems {
        say(&format!("problem: {problem}"));
    }
    if report.more_problems > 0 {
        say(&format!("and {} more problems", report.more_problems));
    }
    if !report.opened_sealed {
        say("note: without its key ring what is sealed was not opened");
    }
    if !report.one_moment && !report.problems.is_empty() {
        say("note: if servers use this store now, a reference may only have been in the making; check again");
    }
}
