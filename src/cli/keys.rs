//! `keys`: signing keys of tenants.

use anyhow::bail;
use clap::{Args, Subcommand};
use jiff::SignedDuration;

use super::{Target, admin::RotateRequest, client::Client, say};
use crate::{
    domain::link::TenantName,
    flows::keys::{Rotated, rotate_keys},
    server,
    store::records,
};

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
        let config = rotate.target.config()?;
        let rotated: Rotated = match Client::connect(&config.data).await {
            Some(client) => {
                let publish_ahead_seconds = rotate.publish_ahead.into();
                client.ask("/keys/rotate", &RotateRequest { tenant: rotate.tenant, publish_ahead_seconds }).await?
            }
            None => {
                let (foundation, _backend) = server::open(&config, rotate.target.secrets.key_ring.as_ref()).await?;
                let tenant = match TenantName::parse(&rotate.tenant)? {
                    TenantName::Id(id) => id,
                    TenantName::Domain(domain) => match foundation.store.get(&records::domain_claim(&domain)).await? {
                        Some(claim) => claim.value.tenant,
                        None => bail!("{domain}: no tenant has this domain"),
                    },
                };
                if foundation.store.get(&records::tenant(tenant)).await?.is_none() {
                    bail!("{}: there is no such tenant", rotate.tenant);
                }
                rotate_keys(&foundation, tenant, SignedDuration::from_secs(rotate.publish_ahead.into())).await?
            }
        };
        for kid in &rotated.kids {
            say(&format!("+ key {kid}"));
        }
        say(&format!("published now, signing from {}", rotated.active_from));
        Ok(())
    }
}
