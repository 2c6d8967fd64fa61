//! `apply`: brings the store to a declared state, through the running server where there is one.

use std::path::PathBuf;

use clap::Args;

use super::{Target, operation, say};
use crate::flows::apply::spec::Desired;

#[derive(Debug, Args)]
pub(super) struct Apply {
    /// The file that says what there should be.
    file: PathBuf,
    /// Only say what would change.
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Apply {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let desired = Desired::load(&self.file)?;
        let report = self.target.perform(operation::Apply { desired, dry_run: self.dry_run }).await?;
        if self.json {
            say(&serde_json::to_string(&report)?);
            return Ok(());
        }
        for change in &report.changes {
            say(change);
        }
        match (report.changes.len(), self.dry_run) {
            (0, _) => say("nothing to change"),
            (count, true) => say(&format!("{count} changes would be made")),
            (count, false) => say(&format!("{count} changes made")),
        }
        for secret in &report.secrets {
            say(&format!("{} of {}: client_id {}", secret.app, secret.tenant, secret.client_id));
            say(&format!("  client_secret {}  (shown this once)", secret.client_secret));
        }
        Ok(())
    }
}
