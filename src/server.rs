//! The composition root: builds the context, starts the workers, serves, and stops in order.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, anyhow, bail};
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, Entropy, SystemClock, SystemEntropy},
    config::{Config, Listen, MailTransport, files::read_key_ring},
    flows::{Foundation, Vestibule, directory::Directory, live},
    http::{self, front},
    identity::{account::Accounts, passcode::Passcodes, upstream::Upstreams},
    live::{FeedLog, LiveState},
    mail::{FileTransport, Outbox, OutboxSettings, Sender, SmtpLimits, SmtpTransport, Transport},
    outbound,
    seal::KeyRing,
    secret::Secret,
    store::{
        Batch, Opened, Partition,
        records::{self, Store},
    },
};

/// Waits until the store is there, opens it and the key ring that belongs to it. Both are made at the first start. Beside them comes a future that
/// resolves, with the reason, when this process cannot go on with the store and should be started again.
///
/// # Errors
/// When another process has the store, when the ring cannot be read, or when it is not the one that seals this store: a
/// new ring is never made beside an old store (checklist F-14).
pub async fn open(config: &Config, key_ring: Option<&Secret>) -> anyhow::Result<(Foundation, BoxFuture<'static, String>)> {
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    make_folder(&config.data)?;
    // The store first: who has it open is alone, and what it says of its ring decides whether there may be a new one.
    let Opened { store, ready, failed } = config.store.open(Arc::clone(&clock))?;
    ready.await.map_err(|reason| anyhow!("{}: {reason}", config.store))?;
    let store = Store::new(store);
    let sealed_by = store.get(&records::key_ring()).await?.map(|stored| stored.value);
    let ring = match key_ring {
        Some(ring) => KeyRing::parse(ring.expose()).context("the key ring of the environment")?,
        None => read_or_make_ring(&config.key_ring, sealed_by.is_none(), &*entropy)?,
    };
    match sealed_by {
        // A store is sealed by one ring for ever (rotation adds keys to it): another would silently lose every secret.
        Some(known) if known != ring.fingerprint() => {
            bail!("{}: this key ring is not the one that seals this store", config.store)
        }
        Some(_) => {}
        None => {
            let key = records::key_ring();
            store.commit(Batch::new(Partition::Global).absent(&key).put(&key, &ring.fingerprint())).await?;
        }
    }
    let public_url = config.public_url.clone();
    Ok((Foundation { store, ring: Arc::new(ring), clock, entropy, public_url }, failed))
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| folder.display().to_string())
}

/// The ring in its file. For a store that nothing was sealed in yet, a missing one is made, and so is one that is empty: the
/// machine went down while it was being made.
fn read_or_make_ring(path: &Path, may_make: bool, entropy: &dyn Entropy) -> anyhow::Result<KeyRing> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let empty = std::fs::metadata(path).is_ok_and(|file| file.len() == 0);
    match read_key_ring(path) {
        Err(error) if may_make && (empty || error.kind() == std::io::ErrorKind::NotFound) => {
            let text = KeyRing::generate(entropy);
            let make = || {
                let mut options = std::fs::OpenOptions::new();
                options.write(true).mode(0o600);
                let mut file = if empty { options.open(path) } else { options.create_new(true).open(path) }?;
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                std::fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
            };
            make().with_context(|| format!("{}: a key ring cannot be made there", path.display()))?;
            read_key_ring(path).with_context(|| path.display().to_string())
        }
        read => read.with_context(|| format!("{}: the key ring of this store", path.display())),
    }
}

/// Builds the context over an opened store.
///
/// # Errors
/// When the outbound client cannot be set up.
pub fn build(config: &Config, foundation: Foundation) -> anyhow::Result<Arc<Vestibule>> {
    let live = Arc::new(LiveState::new(LiveState::MAX_SILENCE));
    let Foundation { store, ring, clock, entropy, .. } = foundation.clone();
    let client = outbound::Client::new(config.outbound.clone())?;
    Ok(Arc::new(Vestibule {
        directory: Directory::new(foundation.clone()),
        feed: FeedLog::new(Arc::clone(&live), FeedLog::CAPACITY, &*entropy),
        live,
        upstreams: Upstreams::new(client, Arc::clone(&clock), Arc::clone(&entropy)),
        passcodes: Passcodes::new(store.clone(), ring.clone(), clock.clone(), entropy.clone()),
        accounts: Accounts::new(store, ring.clone(), clock.clone(), entropy.clone()),
        outbox: Outbox::new(ring, clock, entropy),
        sender: Sender { name: Some(config.mail_from_name.clone()), address: config.mail_from.clone() },
        draining: CancellationToken::new(),
        foundation,
    }))
}

/// A server that listens, before it serves.
pub struct Server {
    /// The context.
    pub vestibule: Arc<Vestibule>,
    listeners: Vec<front::Listener>,
    transport: Arc<dyn Transport>,
    drain: std::time::Duration,
}

impl Server {
    /// Binds the listeners.
    ///
    /// # Errors
    /// When an address is taken, a certificate cannot be used, or mail cannot be set up.
    pub async fn bind(config: &Config, vestibule: Arc<Vestibule>) -> anyhow::Result<Self> {
        let mut listeners = Vec::new();
        for listen in &config.listen {
            listeners.push(bind(listen).await?);
        }
        Self::over(config, vestibule, listeners)
    }

    /// Serves on listeners that are bound already.
    ///
    /// # Errors
    /// When mail cannot be set up.
    pub fn over(config: &Config, vestibule: Arc<Vestibule>, listeners: Vec<front::Listener>) -> anyhow::Result<Self> {
        Ok(Self { vestibule, listeners, transport: transport(&config.mail)?, drain: config.drain })
    }

    /// Where it listens, and whether with TLS.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn addresses(&self) -> std::io::Result<Vec<(SocketAddr, bool)>> {
        self.listeners.iter().map(|listener| Ok((listener.tcp.local_addr()?, listener.tls.is_some()))).collect()
    }

    /// Serves until `shutdown`, then drains: no new connections, requests in flight end, mails under way end.
    ///
    /// # Errors
    /// When the store cannot be read at the start.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let vestibule = self.vestibule;
        // Subscribed before everything is read, so that no change falls between.
        let watch = vestibule.foundation.store.watch();
        live::load_all(&vestibule).await?;
        // Both go on while requests in flight end, which still have to be judged and may still queue mail.
        let stop = CancellationToken::new();
        let follower = tokio::spawn(stop.clone().run_until_cancelled_owned({
            let vestibule = Arc::clone(&vestibule);
            async move { live::follow(&vestibule, watch).await }
        }));
        let mail = tokio::spawn(vestibule.outbox.clone().run(
            vestibule.foundation.store.clone(),
            self.transport,
            OutboxSettings::default(),
            stop.clone(),
        ));
        let limits = Arc::new(front::Limits { drain: self.drain, ..front::Limits::default() });
        let responder: front::Responder = {
            let vestibule = Arc::clone(&vestibule);
            Arc::new(move |parts, code| http::refuse_at_the_front(&vestibule, parts, code))
        };
        let entropy = Arc::clone(&vestibule.foundation.entropy);
        let app = http::router(Arc::clone(&vestibule));
        let draining = vestibule.draining.clone();
        let shutdown = async move {
            shutdown.await;
            draining.cancel();
        };
        let config = front::FrontConfig { limits, responder, entropy };
        let drained = front::serve(self.listeners, app, config, shutdown).await;
        tracing::info!(cut = drained.cut, "no more requests");
        stop.cancel();
        let _ = tokio::join!(mail, follower);
        Ok(())
    }
}

async fn bind(listen: &Listen) -> anyhow::Result<front::Listener> {
    let tcp = TcpListener::bind(listen.address).await.with_context(|| listen.address.to_string())?;
    let tls = listen.tls.as_ref().map(|tls| front::Tls::open(&tls.certificate, &tls.key)).transpose()?;
    Ok(front::Listener { tcp, tls })
}

fn transport(mail: &MailTransport) -> anyhow::Result<Arc<dyn Transport>> {
    Ok(match mail {
        MailTransport::Folder(folder) => Arc::new(FileTransport::new(folder).with_context(|| folder.display().to_string())?),
        MailTransport::Smtp { url, ca } => {
            let roots = ca.as_ref().map(|ca| std::fs::read(ca).with_context(|| ca.display().to_string())).transpose()?;
            Arc::new(SmtpTransport::new(url, None, roots.as_deref(), SmtpLimits::default())?)
        }
    })
}
