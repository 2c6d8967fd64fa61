//! The command line: one file a command group.

mod admin;
mod apply;
mod client;
mod demo;
mod keys;
mod serve;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{config::Config, secret::Secret};

/// Shares an organisation's apps with people from other organisations.
#[derive(Debug, Parser)]
#[command(name = "vestibule", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows everything at work on this machine: two organisations, an app, guests, mail in a folder.
    Demo(demo::Demo),
    /// Runs the server.
    Serve(serve::Serve),
    /// Brings tenants, domains, apps, federations, agreements and guests to a declared state.
    Apply(apply::Apply),
    /// Reads a configuration and says all that is wrong with it.
    CheckConfig(CheckConfig),
    /// Signing keys of tenants.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Prints the reference of all errors (docs/errors.md).
    Errors,
}

#[derive(Debug, Args)]
struct CheckConfig {
    /// The configuration file.
    #[arg(default_value = "vestibule.toml")]
    file: PathBuf,
}

/// Which server a command is for.
#[derive(Debug, Args)]
struct Target {
    /// The server's configuration file.
    #[arg(long, default_value = "vestibule.toml")]
    config: PathBuf,
    /// The data folder of a demo; the same as `--config DIR/vestibule.toml`.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
    #[command(flatten)]
    secrets: Secrets,
}

impl Target {
    fn config(&self) -> anyhow::Result<Config> {
        let file = self.data.as_ref().map_or_else(|| self.config.clone(), |data| data.join("vestibule.toml"));
        Ok(Config::load(&file)?)
    }
}

/// What may come from the environment, so that it need not stand in a file.
#[derive(Debug, Args)]
struct Secrets {
    /// The key ring, instead of the file that the configuration names.
    #[arg(long, env = "VESTIBULE_KEY_RING", hide_env_values = true, value_parser = secret, hide = true)]
    key_ring: Option<Secret>,
    /// The mail server's URL, instead of the one in the configuration.
    #[arg(long, env = "VESTIBULE_SMTP_URL", hide_env_values = true, value_parser = secret, hide = true)]
    smtp_url: Option<Secret>,
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Runs a command.
///
/// # Errors
/// What the person at the terminal should read.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Demo(demo) => demo.run().await,
        Command::Serve(serve) => serve.run().await,
        Command::Apply(apply) => apply.run().await,
        Command::Keys(keys) => keys.run().await,
        Command::CheckConfig(CheckConfig { file }) => {
            let config = Config::load(&file)?;
            say(&format!("{}: good; serves {} from {}", file.display(), config.public_url, config.data.display()));
            Ok(())
        }
        Command::Errors => {
            say(crate::error::Code::reference().trim_end());
            Ok(())
        }
    }
}

/// A line on standard output: what a command is for. Everything else is the log, on standard error.
#[expect(clippy::print_stdout, reason = "the one place that prints")]
fn say(line: &str) {
    println!("{line}");
}

/// Ready when the process is asked to stop: Ctrl-C or SIGTERM.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
    tracing::info!("asked to stop; draining");
}
