//! `apply`: brings the store to a declared state, through the running server where there is one.

use std::path::PathBuf;

use clap::Args;

use super::{Target, operation, say};
use crate::flows::apply::{ToPublish, spec::Desired};

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
        let (count, will) = (report.changes.len(), if self.dry_run { "would be made" } else { "made" });
        say(&match count {
            0 => "nothing to change".to_owned(),
            1 => format!("1 change {will}"),
            _ => format!("{count} changes {will}"),
        });
        for ToPublish { tenant, domain, record } in &report.to_publish {
            say(&format!("{domain} is not verified yet; publish this record, then: vestibule domain verify {tenant} {domain}"));
            say(&format!("  {}. TXT \"{}\"", record.name, record.value));
        }
        for secret in &report.secrets {
            say(&format!("{} of {}: client_id {}", secret.app, secret.tenant, secret.client_id));
            say(&format!("  client_secret {}  (shown this once)", secret.client_secret));
        }
        Ok(())
    }
}
