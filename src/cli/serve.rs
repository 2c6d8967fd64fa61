//! `serve`: runs the server that a configuration describes.

use std::path::PathBuf;

use clap::Args;
use tokio::sync::oneshot;

use super::{Secrets, admin, asked_to_stop};
use crate::{
    config::{Config, Log},
    http::graph::DirectoryApi,
    server::{self, Server},
};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The configuration file.
    #[arg(long, default_value = "vestibule.toml")]
    config: PathBuf,
    #[command(flatten)]
    secrets: Secrets,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = Config::load_with(&self.config, self.secrets.environment())?;
        start_log(config.log);
        let metrics = admin::record()?;
        let server = Server::bind(&config).await?;
        for (address, tls) in server.addresses()? {
            tracing::info!(%address, tls, "listening as {}", config.public_url);
        }
        let (failed_sender, failed) = oneshot::channel();
        let mut admin = None;
        let opening = async {
            let (foundation, failed) = server::open(&config, self.secrets.key_ring.as_ref()).await?;
            let directory = DirectoryApi::new(&server::build(&config, foundation)?);
            admin = Some(admin::listen(&config.data, metrics, &directory)?);
            let _ = failed_sender.send(failed);
            Ok(directory)
        };
        let failed = async {
            match failed.await {
                Ok(failed) => failed.await,
                // It never opened.
                Err(_) => std::future::pending().await,
            }
        };
        let stop = async {
            tokio::select! {
                () = asked_to_stop() => {}
                reason = failed => tracing::error!(reason, "the store has failed; stopping so that a supervisor can start again"),
            }
        };
        let served = server.run(opening, stop).await;
        if let Some(admin) = admin {
            admin.close().await;
        }
        served
    }
}

/// Starts the log, on standard error.
pub(super) fn start_log(log: Log) {
    use tracing_subscriber::{EnvFilter, fmt};
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log {
        Log::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        Log::Json => builder.json().init(),
    }
}
