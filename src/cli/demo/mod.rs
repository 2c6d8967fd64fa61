//! `demo`: everything at work on one machine, with nothing to configure.
//!
//! One server with two tenants: *Contoso* shares an app, *Fabrikam* is a guest's home organisation and is reached like any
//! other provider, over HTTP. The app, *Expenses*, is a door of its own on its own port. All that makes the demo different
//! from a real set-up is in the files it writes into its data folder; they can be read, changed and applied again.

mod expenses;
mod invited;
mod printed;
mod setting;

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{admin, asked_to_stop, say, serve::start_log};
use crate::{
    clock::{SystemEntropy, random_uuid},
    config::{Config, Log},
    flows::apply::{self, spec::Desired},
    http::{front, graph::DirectoryApi},
    secret::Secret,
    server::{self, Server},
};
use setting::Setting;

/// Where the demo listens unless it is told.
const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Where the server listens; port 0 takes any free one. Loopback only.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Keeps everything in this folder between runs; without it a fresh temporary folder is used.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Keeps tenants, guests and sessions there instead of in a file below the data folder: a path, or a URL of Redis
    /// (`redis://127.0.0.1:6379?namespace=demo`). What a store holds can be read with the key ring beside it only, so a
    /// store that was used before goes with the same --data.
    #[arg(long, env = "VESTIBULE_STORE_URL", hide_env_values = true, value_name = "URL", value_parser = super::secret, requires = "data")]
    store: Option<Secret>,
    /// The port that links and issuers name, when a proxy listens on it and passes requests on to the one of --listen.
    #[arg(long, value_name = "PORT", requires = "listen")]
    public_port: Option<u16>,
    /// Prints links, people and secrets as one line of JSON when ready.
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        start_log(Log::Text);
        let metrics = admin::record()?;
        let (data, temporary) = self.folder()?;
        let setting = Setting::read(&data)?;
        // Behind a proxy the port that is known is the proxy's.
        let last = setting.as_ref().map(|known| known.server_port).filter(|_| self.public_port.is_none());
        let server_sockets = bind(self.listen, last, DEFAULT).await?;
        let app_at = SocketAddr::new(server_sockets[0].local_addr()?.ip(), 0);
        let app_sockets = bind(None, setting.as_ref().map(|known| known.app_port), app_at).await?;
        let (listen_port, app_port) = (server_sockets[0].local_addr()?.port(), app_sockets[0].local_addr()?.port());
        let server_port = self.public_port.unwrap_or(listen_port);
        let setting = match setting {
            // Issuers, links and what guests are bound to contain the ports.
            Some(known) => known.at(server_port, app_port)?.over(self.store.as_ref())?,
            None => Setting::new(server_port, app_port, self.store.as_ref(), &SystemEntropy),
        };
        setting.write(&data, listen_port)?;

        let config = Config::load(&data.join("vestibule.toml"))?;
        let (foundation, failed) = server::open(&config, None).await?;
        let desired = Desired::load(&data.join("tenants.toml"))?;
        apply::apply(&foundation, &desired, false).await?;
        let vestibule = server::build(&config, foundation)?;
        let directory = DirectoryApi::new(&vestibule);
        let admin = admin::listen(&config.data, metrics, &directory)?;
        let server = Server::over(&config, listeners(server_sockets))?;

        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.run(std::future::ready(Ok(directory)), stop.clone().cancelled_owned()));
        let ids = setting::Ids::find(&vestibule).await?;
        let app = tokio::spawn(expenses::serve(listeners(app_sockets), setting.expenses(&ids)?, stop.clone()));

        let invitation =
            invited::invite(&vestibule, ids.tenant, format!("{}/", setting.app_url()).parse().map_err(anyhow::Error::msg)?)
                .await?;
        let shown = printed::Shown::of(&setting, &ids, &config, &data, invitation);
        say(&if self.json { shown.json()? } else { shown.text() });
        tokio::select! {
            () = asked_to_stop() => {}
            reason = failed => tracing::error!(reason, "the store has failed"),
        }
        stop.cancel();
        let (served, app) = (serving.await?, app.await?);
        admin.close().await;
        if let Some(folder) = temporary {
            let _ = std::fs::remove_dir_all(folder);
        }
        served.and(app)
    }

    /// The data folder, and the same again when it is to be removed afterwards.
    fn folder(&self) -> anyhow::Result<(PathBuf, Option<PathBuf>)> {
        use std::os::unix::fs::DirBuilderExt;
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700);
        if let Some(folder) = &self.data {
            builder.recursive(true).create(folder).with_context(|| folder.display().to_string())?;
            return Ok((folder.canonicalize()?, None));
        }
        // A name that nobody can have taken before us; that it is new is checked.
        let name = random_uuid(&SystemEntropy).simple();
        let folder = std::env::temp_dir().join(format!("vestibule-demo-{name}"));
        builder.create(&folder).with_context(|| folder.display().to_string())?;
        let folder = folder.canonicalize()?;
        Ok((folder.clone(), Some(folder)))
    }
}

/// Binds where it was told, else at the port of the last run, else at `fallback`, else at any port. `localhost` may mean
/// either loopback address, so the other one is taken as well where it can be.
async fn bind(told: Option<SocketAddr>, last: Option<u16>, fallback: SocketAddr) -> anyhow::Result<Vec<TcpListener>> {
    let last = last.map(|port| SocketAddr::new(fallback.ip(), port));
    let first = match told {
        Some(told) => {
            anyhow::ensure!(told.ip().is_loopback(), "{told}: the demo listens on loopback only");
            // Port 0 means any port; after a first run, preferably the same one, since issuers and links contain it.
            let again = last.filter(|_| told.port() == 0).map(|last| SocketAddr::new(told.ip(), last.port()));
            match try_bind(again).await {
                Some(bound) => bound,
                None => TcpListener::bind(told).await.with_context(|| told.to_string())?,
            }
        }
        None => match try_bind(last).await {
            Some(bound) => bound,
            None => match try_bind(Some(fallback)).await {
                Some(bound) => bound,
                None => TcpListener::bind(SocketAddr::new(fallback.ip(), 0)).await?,
            },
        },
    };
    let address = first.local_addr()?;
    let other = match address.ip() {
        IpAddr::V4(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    };
    let other = try_bind(Some(SocketAddr::new(other, address.port()))).await;
    Ok(std::iter::once(first).chain(other).collect())
}

async fn try_bind(address: Option<SocketAddr>) -> Option<TcpListener> {
    TcpListener::bind(address?).await.ok()
}

fn listeners(sockets: Vec<TcpListener>) -> Vec<front::Listener> {
    sockets.into_iter().map(Into::into).collect()
}
