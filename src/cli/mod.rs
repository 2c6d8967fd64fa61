//! The command line: one file a command group.

mod admin;
mod apply;
mod audit;
mod client;
mod demo;
mod domain;
mod guest;
mod keys;
mod operation;
mod serve;
mod store;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use tokio::time::timeout;

use crate::{
    config::{Config, ConfigError, Environment, files::Findings},
    flows::Foundation,
    secret::Secret,
    server,
    store::Location,
};
use client::Client;
use operation::Operation;

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
    /// Guests: invite, list, look after.
    #[command(subcommand)]
    Guest(guest::Guest),
    /// Signing keys of tenants.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Domains of tenants: how they stand, and their verification by DNS.
    #[command(subcommand)]
    Domain(domain::Domain),
    /// Audit logs of tenants: what is in them, and whether they are unchanged.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// The store as a whole: copy it elsewhere, check it, back it up.
    #[command(subcommand)]
    Store(store::Store),
    /// Prints the reference of all errors (docs/errors.md).
    Errors,
}

#[derive(Debug, Args)]
struct CheckConfig {
    /// The configuration file.
    #[arg(default_value = "vestibule.toml")]
    file: PathBuf,
    #[command(flatten)]
    secrets: Secrets,
}

impl CheckConfig {
    /// Files that are named and unusable are problems; missing ones are only mentioned, since the configuration of another
    /// machine can be checked too.
    fn run(self) -> anyhow::Result<()> {
        let name = self.file.display();
        let config = Config::load_with(&self.file, self.secrets.environment())?;
        let Findings { problems, missing } = config.look_at_files();
        if !problems.is_empty() {
            let problems: Vec<_> = problems.iter().map(|problem| format!("{name}: {problem}")).collect();
            anyhow::bail!("{}", problems.join("\n"));
        }
        for file in missing {
            say(&format!("{name}: note: {file}"));
        }
        say(&format!("{name}: good; serves {} from {}", config.public_url, config.data.display()));
        Ok(())
    }
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
    fn configuration(&self) -> Result<Config, ConfigError> {
        let file = self.data.as_ref().map_or_else(|| self.config.clone(), |data| data.join("vestibule.toml"));
        Config::load_with(&file, self.secrets.environment())
    }

    /// Performs an operation: the running server does it, where there is one, else this process.
    async fn perform<O: Operation>(&self, operation: O) -> anyhow::Result<O::Answer> {
        let config = self.configuration()?;
        match Client::connect(&config.data).await? {
            Some(client) => client.ask(&operation).await,
            None => Ok(operation.perform(&self.open(&config).await?).await?),
        }
    }

    /// Opens the store that no server has open.
    async fn open(&self, config: &Config) -> anyhow::Result<Foundation> {
        let opening = server::open(config, self.secrets.key_ring.as_ref());
        let (foundation, _failed) = reached(&config.store, opening).await??;
        Ok(foundation)
    }
}

/// How long a command waits for a store on another machine, and how long without saying so.
const STORE_WITHIN: Duration = Duration::from_secs(10);
const IN_SILENCE: Duration = Duration::from_secs(1);

/// Waits until the store is open; a person at a terminal is told what for.
async fn reached<T>(store: &Location, opening: impl Future<Output = T>) -> anyhow::Result<T> {
    let mut opening = std::pin::pin!(opening);
    if let Ok(opened) = timeout(IN_SILENCE, &mut opening).await {
        return Ok(opened);
    }
    eprintln!("{store}: no answer yet, waiting up to {} s", STORE_WITHIN.as_secs());
    timeout(STORE_WITHIN - IN_SILENCE, opening).await.map_err(|_| anyhow::anyhow!("{store}: not reached"))
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
    /// Where the store is, instead of what the configuration says.
    #[arg(long, env = "VESTIBULE_STORE_URL", hide_env_values = true, value_parser = secret, hide = true)]
    store_url: Option<Secret>,
}

impl Secrets {
    fn environment(&self) -> Environment<'_> {
        Environment { smtp: self.smtp_url.as_ref(), store: self.store_url.as_ref() }
    }
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Runs a command; gives the status that its process ends with.
///
/// # Errors
/// What the person at the terminal should read.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Demo(demo) => demo.run().await.map_err(with_way_out)?,
        Command::Serve(serve) => serve.run().await.map_err(with_way_out)?,
        Command::Apply(apply) => apply.run().await.map_err(with_way_out)?,
        Command::Guest(guest) => return guest.run().await.map_err(with_way_out),
        Command::Keys(keys) => keys.run().await.map_err(with_way_out)?,
        Command::Domain(domain) => domain.run().await.map_err(with_way_out)?,
        Command::Audit(audit) => audit.run().await.map_err(with_way_out)?,
        Command::Store(store) => store.run().await?,
        Command::CheckConfig(check) => check.run()?,
        Command::Errors => say(crate::error::Code::reference().trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The command that helps where the server's store cannot be used: one that cannot be read needs its backup (checklist F-19),
/// and a copy that was cut off has to be made again.
fn with_way_out(error: anyhow::Error) -> anyhow::Error {
    #[cfg(feature = "embedded")]
    if let Some(crate::store::embedded::OpenError::Unreadable(_)) = error.downcast_ref() {
        return anyhow::anyhow!("{error:#}; to put a backup in its place: vestibule store restore FILE --replace");
    }
    if error.is::<server::UnfinishedCopy>() {
        return anyhow::anyhow!(
            "{error:#}; copy again with `vestibule store copy --start-over`, or name another store in the configuration"
        );
    }
    error
}

/// A line on standard output: what a command is for. Everything else is the log, on standard error.
#[expect(clippy::print_stdout, reason = "the one place that prints")]
fn say(line: &str) {
    println!("{line}");
}

/// Ready when the process is asked to stop: Ctrl-C or SIGTERM. Asked once more, it stops at once: what was acknowledged is
/// on disk.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        tracing::error!("signals cannot be received");
        return;
    };
    let mut next = async move || {
        tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
        }
    };
    next().await;
    tracing::info!("asked to stop; draining");
    tokio::spawn(async move {
        let status = next().await;
        tracing::warn!("asked again; stopping at once");
        std::process::exit(status);
    });
}
