//! `keys`: signing keys of tenants.

use clap::{Args, Subcommand};

use super::{Target, operation::RotateKeys, say};

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Makes new signing keys. They are published at once and used later, when nobody caches the old list any more.
    Rotate(Rotate),
}

#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// The tenant: its id or one of its verified domains.
    tenant: String,
    /// How many seconds the new keys are published before they sign. Less than the hour that the list may be cached risks
    /// that tokens cannot be verified.
    #[arg(long, default_value_t = 24 * 60 * 60)]
    publish_ahead: u32,
    #[command(flatten)]
    target: Target,
}

impl Keys {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::Rotate(rotate) = self;
        let operation = RotateKeys { tenant: rotate.tenant, publish_ahead_seconds: rotate.publish_ahead };
        let rotated = rotate.target.perform(operation).await?;
        for kid in &rotated.kids {
            say(&format!("+ key {kid}"));
        }
        say(&format!("published now, signing from {}", rotated.active_from));
        Ok(())
    }
}
