//! Whose guests a command is about, and where they are.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use url::Url;

use crate::{cli::Target, secret::Secret};

/// The environment variable of the client secret. It is no option: arguments are seen by everybody on the machine.
const CLIENT_SECRET: &str = "VESTIBULE_CLIENT_SECRET";

/// Which directory: on this machine that of `--config` or `--data`, or the one of a server elsewhere.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// The organisation whose guests they are: its id or one of its verified domains.
    #[arg(long, env = "VESTIBULE_TENANT", value_name = "ID|DOMAIN", help_heading = "Where", value_parser = tenant)]
    pub(super) tenant: String,
    #[command(flatten, next_help_heading = "Where")]
    pub(super) target: Target,
    /// A server elsewhere, `https://HOST`. The command is then an app with permissions there: its id and secret are those of
    /// `VESTIBULE_CLIENT_ID` and `VESTIBULE_CLIENT_SECRET`.
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "data"], help_heading = "Where")]
    pub(super) server: Option<Url>,
    /// Authorities to trust for --server beside the system's, in PEM.
    #[arg(long, value_name = "FILE", requires = "server", help_heading = "Where")]
    pub(super) ca: Option<PathBuf>,
    /// The client id of the app.
    #[arg(long, env = "VESTIBULE_CLIENT_ID", value_name = "ID", help_heading = "Where")]
    client_id: Option<String>,
    /// A file with the client secret, instead of `VESTIBULE_CLIENT_SECRET`.
    #[arg(long, value_name = "FILE", help_heading = "Where")]
    client_secret_file: Option<PathBuf>,
}

impl Connection {
    /// The id and the secret of the app that the command is on a server elsewhere.
    pub(super) fn credentials(&self) -> anyhow::Result<(String, Secret)> {
        let id = self.client_id.clone().context("--server needs VESTIBULE_CLIENT_ID, the id of an app with permissions")?;
        let secret = match &self.client_secret_file {
            Some(file) => std::fs::read_to_string(file).with_context(|| file.display().to_string())?,
            None => {
                let secret = std::env::var_os(CLIENT_SECRET);
                let secret = secret.with_context(|| format!("--server needs {CLIENT_SECRET}, or --client-secret-file"))?;
                secret.into_string().map_err(|_| anyhow::anyhow!("{CLIENT_SECRET} is not text"))?
            }
        };
        match secret.trim() {
            "" => bail!("the client secret is empty"),
            secret => Ok((id, Secret::new(secret))),
        }
    }
}

/// A segment of a path: ids and domains have no other characters.
fn tenant(text: &str) -> Result<String, &'static str> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if plain { Ok(text.to_owned()) } else { Err("neither an id nor a domain (in its ASCII form)") }
}
