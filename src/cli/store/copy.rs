//! `store copy`.

use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::{location, open, open_existing, progress::Bar};
use crate::{
    cli::{say, secret},
    clock::{Clock, SystemClock},
    secret::Secret,
    store::copy::{Copied, CopyError, copy},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Copy {
    /// The store to copy: a path, or a URL. A URL with a password is better put into the environment.
    #[arg(long, value_name = "URL", env = "VESTIBULE_STORE_FROM", hide_env_values = true, value_parser = secret)]
    from: Secret,
    /// The store to fill, which has to be empty.
    #[arg(long, value_name = "URL", env = "VESTIBULE_STORE_TO", hide_env_values = true, value_parser = secret)]
    to: Secret,
    /// When the target is a copy that was cut off: empty it and begin again. Any other target is left alone.
    #[arg(long)]
    start_over: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    from: &'a str,
    to: &'a str,
    #[serde(flatten)]
    copied: &'a Copied,
    /// Whether both sides were read again and were the same. There is no report otherwise.
    verified: bool,
}

impl Copy {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let (from, to) = (location(&self.from, "--from")?, location(&self.to, "--to")?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let source = open_existing(&from, Arc::clone(&clock)).await?;
        let target = open(&to, Arc::clone(&clock)).await?;
        let mut bar = Bar::new();
        let copied = copy(&*source.store, &*target.store, &*clock, self.start_over, &mut |step| bar.step(step)).await;
        bar.clear();
        let (from, to) = (from.to_string(), to.to_string());
        let copied = copied.map_err(|failed| {
            let way_out = match failed.error {
                CopyError::TargetUnfinished(_) => "; to empty it and begin again, add --start-over",
                _ if failed.marked => {
                    "; what is in the target stays marked as unfinished, and --start-over empties it and begins again"
                }
                _ => "",
            };
            anyhow::anyhow!("{from} to {to}: {failed}{way_out}")
        })?;
        if self.json {
            let report = Report { from: &from, to: &to, copied: &copied, verified: true };
            say(&serde_json::to_string(&report)?);
            return Ok(());
        }
        for partition in &copied.partitions {
            let name = if partition.partition == "global" { "" } else { "tenant " };
            say(&format!("{name}{}: {} records, SHA-256 {}", partition.partition, partition.records, partition.sha256));
        }
        say(&format!("copied {from} to {to}: {} records, {} bytes", copied.records, copied.bytes));
        say("verified: both were read again, and hold the same");
        Ok(())
    }
}
