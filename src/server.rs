//! The composition root: builds the context, starts the workers, serves, and stops in order.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, anyhow, bail};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::{Clock, Entropy, SystemClock, SystemEntropy},
    config::{Config, Listen, MailTransport, files::read_key_ring},
    dns::Resolver,
    flows::{Foundation, Vestibule, directory::Directory, documents::Documents, domains, live, restored},
    http::{Door, front, graph::DirectoryApi},
    identity::{account::Accounts, passcode::Passcodes, passkey::Passkeys, upstream::Upstreams},
    live::{FeedLog, LiveState},
    mail::{FileTransport, Outbox, OutboxSettings, Sender, SmtpLimits, SmtpTransport, Transport},
    outbound,
    seal::KeyRing,
    secret::Secret,
    store::{
        Batch, Measured, Opened, Page, Partition, StoreError, copy,
        records::{self, Store},
    },
};

/// The store was being filled by a copy that did not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("{store}: this store is an unfinished copy, begun at {since}, and records may be missing")]
pub struct UnfinishedCopy {
    /// Where it is.
    pub store: String,
    /// When the copy began.
    pub since: Timestamp,
}

/// Waits until the store is there, opens it and the key ring that belongs to it. Both are made at the first start. Beside
/// them comes a future that resolves, with the reason, when this process cannot go on and should be started again.
///
/// # Errors
/// When another process has the store, when the ring cannot be read, or when it is not the one that seals this store: a
/// new ring is never made beside an old store (checklist F-14).
pub async fn open(config: &Config, key_ring: Option<&Secret>) -> anyhow::Result<(Foundation, BoxFuture<'static, String>)> {
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    make_folder(&config.data)?;
    // The store first: who has it open is alone, and what it says of its ring decides whether there may be a new one.
    let Opened { store, ready, failed, snapshots } = config.store.open(Arc::clone(&clock), Arc::clone(&entropy))?;
    ready.await.map_err(|reason| anyhow!("{}: {reason}", config.store))?;
    let store = Store::new(Arc::new(Measured::new(store))).with_snapshots(snapshots);
    let mut attempts = 0;
    let ring = loop {
        match unseal(config, key_ring, &store, &*clock, &*entropy).await {
            Ok(ring) => break ring,
            // One across a network may be away again for a moment.
            Err(error) if attempts < ATTEMPTS && matches!(error.downcast_ref(), Some(StoreError::Unavailable(_))) => {
                attempts += 1;
                tracing::warn!(%error, "the store cannot be read yet");
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error),
        }
    };
    let (public_url, dns) = (config.public_url.clone(), Resolver::new(config.name_servers.clone()));
    Ok((Foundation { store, ring: Arc::new(ring), clock, entropy, public_url, dns, lanes: Arc::default() }, failed))
}

/// How often a store that is open is tried to be read before its process gives up.
const ATTEMPTS: usize = 20;

/// The ring that seals a store, made where nothing was sealed yet.
async fn unseal(
    config: &Config,
    key_ring: Option<&Secret>,
    store: &Store,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> anyhow::Result<KeyRing> {
    if let Some(since) = copy::unfinished_since(&**store.backend()).await? {
        return Err(UnfinishedCopy { store: config.store.to_string(), since }.into());
    }
    let sealed_by = store.get(&records::key_ring()).await?.map(|stored| stored.value);
    let first = Page { after: None, limit: 1 };
    if sealed_by.is_none() && !store.backend().scan(records::tenants_listed().key(), first).await?.is_empty() {
        bail!(
            "{}: there are tenants in this store, but it does not say which key ring seals it: it has lost records. A server \
             that still runs on it puts that back; else restore a backup",
            config.store
        )
    }
    let ring = match key_ring {
        Some(ring) => KeyRing::parse(ring.expose()).context("the key ring of the environment")?,
        None => read_or_make_ring(&config.key_ring, sealed_by.is_none(), entropy)?,
    };
    let sealed_by = match sealed_by {
        Some(known) => known,
        None => claim(store, ring.fingerprint()).await?,
    };
    // A store is sealed by one ring for ever (rotation adds keys to it): another would silently lose every secret.
    if sealed_by != ring.fingerprint() {
        bail!("{}: this key ring is not the one that seals this store", config.store)
    }
    if let Some(backup) = restored::end_all_if_restored(store, clock).await? {
        let taken = backup.taken.map(tracing::field::display);
        tracing::warn!(taken, "this store comes from a backup: all sessions, refresh tokens and codes of before have ended");
    }
    Ok(ring)
}

/// Notes which ring seals a store that none has sealed yet; gives the one that does, which is another node's where several
/// begin at the same moment.
async fn claim(store: &Store, ring: String) -> Result<String, StoreError> {
    let key = records::key_ring();
    match store.commit(Batch::new(Partition::Global).absent(&key).put(&key, &ring)).await {
        Ok(()) => Ok(ring),
        Err(StoreError::Conflict) => Ok(store.get(&key).await?.map_or(ring, |stored| stored.value)),
        Err(error) => Err(error),
    }
}

pub(crate) fn make_folder(folder: &Path) -> anyhow::Result<()> {
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
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                make_folder(folder)?;
            }
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
        read => read.with_context(|| format!("{}: the key ring of this store; copy it from where it was made", path.display())),
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
        directory: Directory::new(foundation.clone(), Arc::clone(&live)),
        feed: FeedLog::new(Arc::clone(&live), FeedLog::CAPACITY, &*entropy),
        live,
        documents: Documents::new(store.clone()),
        upstreams: Upstreams::new(client, Arc::clone(&clock), Arc::clone(&entropy)),
        passcodes: Passcodes::new(store.clone(), ring.clone(), clock.clone(), entropy.clone()),
        passkeys: Passkeys::new(&config.public_url, store.clone(), ring.clone(), clock.clone(), entropy.clone()),
        accounts: Accounts::new(store, ring.clone(), clock.clone(), entropy.clone()),
        outbox: Outbox::new(ring, clock, entropy),
        sender: Sender { name: Some(config.mail_from_name.clone()), address: config.mail_from.clone() },
        draining: CancellationToken::new(),
        proxies: config.proxies.clone(),
        foundation,
    }))
}

/// A server that listens, before it serves.
pub struct Server {
    listeners: Vec<front::Listener>,
    transport: Arc<dyn Transport>,
    drain: std::time::Duration,
    proxies: Vec<IpAddr>,
}

impl Server {
    /// Binds the listeners.
    ///
    /// # Errors
    /// When an address is taken, a certificate cannot be used, or mail cannot be set up.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        let mut listeners = Vec::new();
        for listen in &config.listen {
            listeners.push(bind(listen).await?);
        }
        Self::over(config, listeners)
    }

    /// Serves on listeners that are bound already.
    ///
    /// # Errors
    /// When mail cannot be set up.
    pub fn over(config: &Config, listeners: Vec<front::Listener>) -> anyhow::Result<Self> {
        Ok(Self { listeners, transport: transport(&config.mail)?, drain: config.drain, proxies: config.proxies.clone() })
    }

    /// Where it listens, and whether with TLS.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn addresses(&self) -> std::io::Result<Vec<(SocketAddr, bool)>> {
        self.listeners.iter().map(|listener| Ok((listener.tcp.local_addr()?, listener.tls.is_some()))).collect()
    }

    /// Serves what `opening` gives until `shutdown`, then drains: no new connections, requests in flight end, mails under
    /// way end. Until it is open it answers that it is alive and not ready.
    ///
    /// # Errors
    /// Those of `opening`.
    pub async fn run(
        self,
        opening: impl Future<Output = anyhow::Result<DirectoryApi>>,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let (door, closing) = (Door::new(Arc::clone(&entropy)), CancellationToken::new());
        let config = front::FrontConfig {
            limits: Arc::new(front::Limits { drain: self.drain, uncounted: self.proxies, ..front::Limits::default() }),
            responder: {
                let door = door.clone();
                Arc::new(move |parts, code| door.refuse(parts, code))
            },
            entropy,
        };
        let mut shutdown = std::pin::pin!(shutdown);
        // Both go on while requests in flight end, which still have to be judged and may still queue mail.
        let (workers, stop) = (TaskTracker::new(), CancellationToken::new());
        let mut opening = std::pin::pin!(async {
            let directory = opening.await?;
            start_workers(directory.vestibule(), self.transport, &workers, &stop).await;
            door.open(&directory);
            tracing::info!("ready");
            anyhow::Ok(directory)
        });
        // Connections wait a moment before they are told that nothing is ready yet; mostly it soon is.
        let early = tokio::time::timeout(PATIENCE, &mut opening).await;
        let serving = tokio::spawn(front::serve(self.listeners, door.clone(), config, closing.clone().cancelled_owned()));
        let opened = match early {
            Ok(opened) => opened.map(Some),
            Err(_) => tokio::select! {
                opened = opening => opened.map(Some),
                () = &mut shutdown => Ok(None),
            },
        };
        if let Ok(Some(directory)) = &opened {
            shutdown.await;
            directory.vestibule().draining.cancel();
        }
        closing.cancel();
        let drained = serving.await?;
        tracing::info!(cut = drained.cut, "no more requests");
        stop.cancel();
        workers.close();
        workers.wait().await;
        opened.map(drop)
    }
}

/// Reads what doors must know, for as long as it takes, and starts what follows it and what sends mail.
async fn start_workers(
    vestibule: &Arc<Vestibule>,
    transport: Arc<dyn Transport>,
    workers: &TaskTracker,
    stop: &CancellationToken,
) {
    let store = &vestibule.foundation.store;
    let watch = loop {
        // Subscribed before everything is read, so that no change falls between.
        let watch = store.watch();
        match live::load_all(vestibule).await {
            Ok(()) => break watch,
            Err(error) => tracing::error!(%error, "the store cannot be read yet"),
        }
        tokio::time::sleep(RETRY).await;
    };
    let following = Arc::clone(vestibule);
    let follower = async move { live::follow(&following, watch).await };
    workers.spawn(stop.clone().run_until_cancelled_owned(follower));
    let foundation = vestibule.foundation.clone();
    workers.spawn(stop.clone().run_until_cancelled_owned(async move { domains::keep_verified(&foundation).await }));
    workers.spawn(vestibule.outbox.clone().run(store.clone(), transport, OutboxSettings::default(), stop.clone()));
}

/// How long connections wait before they are answered that the server is not ready.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
/// How soon a store that could not be read is read again.
const RETRY: std::time::Duration = std::time::Duration::from_millis(500);

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
