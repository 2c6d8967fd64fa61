//! What runs in the server's process: the real server over one of the stores, or axum with nothing behind it.

use std::{
    io::BufRead,
    net::Ipv4Addr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Router, routing::get};
use tokio::{net::TcpListener, runtime::Builder};
use vestibule::{
    clock::{SystemClock, SystemEntropy},
    config::Config,
    dns::Resolver,
    flows::{
        Foundation,
        apply::{apply, spec::Desired},
    },
    http::graph::DirectoryApi,
    seal::KeyRing,
    server::{self, Server},
    store::{memory::MemoryStore, records::Store},
};

/// Serves until standard input ends. The first line on standard output is the port.
pub(crate) fn serve(kind: &str, folder: &Path) -> anyhow::Result<()> {
    // As many workers as there are cores that it may use, as the server itself has.
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    match kind {
        "bare" => runtime.block_on(bare()),
        _ => runtime.block_on(vestibule(kind == "memory", folder)),
    }
}

#[expect(clippy::print_stdout, reason = "it is how the driver learns of it")]
fn tell(number: impl std::fmt::Display) {
    println!("{number}");
}

async fn bare() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    tell(listener.local_addr()?.port());
    let app = Router::new().route("/", get(|| async { "ok\n" }));
    let done = tokio::task::spawn_blocking(|| answer(&AtomicU64::new(0)));
    tokio::select! {
        served = async { axum::serve(listener, app).await } => served?,
        _ = done => {}
    }
    Ok(())
}

async fn vestibule(in_memory: bool, folder: &Path) -> anyhow::Result<()> {
    let config = Config::load(&folder.join("vestibule.toml"))?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let foundation = if in_memory {
        let ring = KeyRing::parse(&KeyRing::generate(&*entropy))?;
        let store = Store::new(Arc::new(MemoryStore::new(clock.clone())));
        Foundation {
            store,
            ring: Arc::new(ring),
            clock,
            entropy,
            public_url: config.public_url.clone(),
            lanes: Arc::default(),
            dns: Resolver::default(),
        }
    } else {
        server::open(&config, None).await?.0
    };
    apply(&foundation, &Desired::load(&folder.join("tenants.toml"))?, false).await?;
    let commits = Arc::new(AtomicU64::new(0));
    let mut watch = foundation.store.watch();
    let counter = Arc::clone(&commits);
    tokio::spawn(async move {
        while let Some(change) = watch.next().await {
            if !matches!(change, vestibule::store::Change::Keys(_)) {
                continue;
            }
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let server = Server::bind(&config).await?;
    let directory = DirectoryApi::new(&server::build(&config, foundation)?);
    tell(config.listen[0].address.port());
    let done = tokio::task::spawn_blocking(move || answer(&commits));
    server.run(std::future::ready(Ok(directory)), async { drop(done.await) }).await
}

/// Answers the driver's questions until it goes away.
fn answer(commits: &AtomicU64) {
    for line in std::io::stdin().lock().lines() {
        match line.as_deref() {
            Ok("commits") => tell(commits.load(Ordering::Relaxed)),
            _ => return,
        }
    }
}
