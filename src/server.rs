//! The composition root: builds the context, starts the workers, serves, and stops in order.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, Entropy, SystemClock, SystemEntropy},
    config::{Config, Listen, MailTransport},
    flows::{Foundation, Vestibule, directory::Directory, live},
    http::{self, front},
    identity::{account::Accounts, passcode::Passcodes, upstream::Upstreams},
    live::{FeedLog, LiveState},
    mail::{FileTransport, Outbox, OutboxSettings, Sender, SmtpLimits, SmtpTransport, Transport},
    outbound,
    seal::KeyRing,
    secret::Secret,
    store::{
        Batch, Partition,
        embedded::EmbeddedStore,
        records::{self, Store},
    },
};

/// How long a door goes on without news.
const MAX_SILENCE: SignedDuration = SignedDuration::from_secs(5);

/// Opens the data folder: the store and the key ring that belongs to it. Both are made at the first start.
///
/// # Errors
/// When another process has the store, when the ring cannot be read, or when it is not the one that seals this store: a
/// new ring is never made beside an old store (checklist F-14).
pub async fn open(config: &Config, key_ring: Option<&Secret>) -> anyhow::Result<(Foundation, Arc<EmbeddedStore>)> {
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    make_folder(&config.data)?;
    let file = config.data.join("vestibule.redb");
    let fresh = !file.exists();
    let ring = match key_ring {
        Some(ring) => KeyRing::parse(ring.expose()).context("the key ring of the environment")?,
        None => read_or_make_ring(&config.key_ring, fresh, &*entropy)?,
    };
    let backend = Arc::new(EmbeddedStore::open(&file, Arc::clone(&clock)).with_context(|| file.display().to_string())?);
    let store = Store::new(backend.clone());
    check_ring(&store, &ring).await?;
    let public_url = config.public_url.clone();
    Ok((Foundation { store, ring: Arc::new(ring), clock, entropy, public_url }, backend))
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| folder.display().to_string())
}

fn read_or_make_ring(path: &Path, may_make: bool, entropy: &dyn Entropy) -> anyhow::Result<KeyRing> {
    use std::{
        io::Write,
        os::unix::fs::{OpenOptionsExt, PermissionsExt},
    };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                bail!("{}: the key ring can be read by others (mode {mode:o}); use: chmod 600", path.display());
            }
            KeyRing::parse(&text).with_context(|| path.display().to_string())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_make => {
            let text = KeyRing::generate(entropy);
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            KeyRing::parse(&text).context("a new key ring")
        }
        Err(error) => Err(error).with_context(|| format!("{}: the key ring of this store", path.display())),
    }
}

/// A store is sealed by one ring for ever (rotation adds keys to it): another one would silently lose every secret.
async fn check_ring(store: &Store, ring: &KeyRing) -> anyhow::Result<()> {
    let key = records::key_ring();
    match store.get(&key).await? {
        Some(known) if known.value == ring.fingerprint() => Ok(()),
        Some(_) => bail!("this key ring is not the one that seals this store"),
        None => {
            let batch = Batch::new(Partition::Global).absent(&key).put(&key, &ring.fingerprint());
            Ok(store.commit(batch).await?)
        }
    }
}

/// Builds the context over an opened store.
///
/// # Errors
/// When the outbound client cannot be set up.
pub fn build(config: &Config, foundation: Foundation) -> anyhow::Result<Arc<Vestibule>> {
    let live = Arc::new(LiveState::new(MAX_SILENCE));
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
    /// Binds the listeners and reads what doors must know.
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

    /// Serves until `shutdown`, then drains: no new connections, requests in flight end, mails under way end.
    ///
    /// # Errors
    /// When the store cannot be read at the start.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let vestibule = self.vestibule;
        // Subscribed before everything is read, so that no change falls between.
        let watch = vestibule.foundation.store.watch();
        live::load_all(&vestibule).await?;
        let follower = tokio::spawn({
            let vestibule = Arc::clone(&vestibule);
            async move { live::follow(&vestibule, watch).await }
        });
        let stop_mail = CancellationToken::new();
        let mail = tokio::spawn(vestibule.outbox.clone().run(
            vestibule.foundation.store.clone(),
            self.transport,
            OutboxSettings::default(),
            stop_mail.clone(),
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
        stop_mail.cancel();
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
