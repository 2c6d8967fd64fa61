//! Mail, from the commit that announces it to a real SMTP conversation or a file.

mod delivery;
mod failures;
mod log;
mod secrecy;
mod sink;

use std::{future::Future, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use mail_parser::{Message, MessageParser};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vestibule::{
    clock::{Clock, ManualClock, SystemEntropy},
    domain::{
        TenantId,
        tenant::{Branding, Color, PrivacyProfile, Tenant, TenantDomain, TenantPolicy},
    },
    mail::{
        Mail, Outbox, OutboxItem, OutboxSettings, OutboxState, Passcode, Sender, SmtpLimits, SmtpTransport, Transport,
        outbox_items,
    },
    seal::KeyRing,
    secret::Secret,
    store::{
        Batch, Partition, SharedStore,
        memory::MemoryStore,
        records::{Store, Stored, TenantListed, tenant_listed},
    },
};

use sink::Sink;

/// The code in every mail of these tests, as it is typed and as it is shown.
const CODE: &str = "73914682";
const SHOWN: &str = "7391 4682";

/// A store with an outbox, and a clock that moves when it is told to.
struct World {
    clock: ManualClock,
    store: Store,
    outbox: Outbox,
}

/// A worker that runs.
struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// As Ctrl-C does.
    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("the worker ends well");
    }

    /// As kill -9 does.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

const TENANT: TenantId = TenantId(Uuid::from_u128(0xc0));

impl World {
    async fn new() -> Self {
        let clock = ManualClock::new("2026-11-22T20:00:00Z".parse().unwrap());
        Self::over(Arc::new(MemoryStore::new(Arc::new(clock.clone()))), clock).await
    }

    async fn over(backend: SharedStore, clock: ManualClock) -> Self {
        let store = Store::new(backend);
        let ring = Arc::new(KeyRing::derived(b"a test's ring", "mail"));
        let outbox = Outbox::new(ring, Arc::new(clock.clone()), Arc::new(SystemEntropy));
        let world = Self { clock, store, outbox };
        world.list(TENANT).await;
        world
    }

    async fn list(&self, id: TenantId) {
        self.store.commit(Batch::new(Partition::Global).put(&tenant_listed(id), &TenantListed { id })).await.unwrap();
    }

    fn in_minutes(&self, minutes: i64) -> Timestamp {
        self.clock.now() + SignedDuration::from_mins(minutes)
    }

    /// Queues a mail that lives for ten minutes.
    async fn queue(&self, mail: &Mail) {
        self.queue_for(TENANT, mail, false).await;
    }

    async fn queue_for(&self, tenant: TenantId, mail: &Mail, decoy: bool) {
        let batch = Batch::new(Partition::Tenant(tenant));
        self.store.commit(self.outbox.enqueue(batch, tenant, mail, self.in_minutes(10), decoy)).await.unwrap();
    }

    /// Starts a worker with short limits. Its back-off goes by the manual clock.
    fn start(&self, transport: Arc<dyn Transport>) -> Running {
        let settings = OutboxSettings {
            look: Duration::from_millis(10),
            attempt_limit: Duration::from_secs(5),
            claim: SignedDuration::from_secs(20),
            ..OutboxSettings::default()
        };
        let shutdown = CancellationToken::new();
        let work = self.outbox.clone().run(self.store.clone(), transport, settings, shutdown.clone());
        Running { shutdown, task: tokio::spawn(work) }
    }

    async fn items(&self) -> Vec<Stored<OutboxItem>> {
        self.store.list(&outbox_items(TENANT)).await.unwrap()
    }

    /// The only mail in the store.
    async fn item(&self) -> OutboxItem {
        let mut items = self.items().await;
        assert_eq!(items.len(), 1, "{items:?}");
        items.remove(0).value
    }

    async fn until_empty(&self) {
        eventually("the queue is empty", async || self.items().await.is_empty()).await;
    }

    /// Until the last attempt of `count` has failed and its reason is written, for another attempt or for good.
    async fn until_put_back(&self, count: u32) -> OutboxItem {
        eventually("the mail is put back", async || {
            let item = self.item().await;
            let waits = item.next_attempt < self.clock.now() + SignedDuration::from_secs(15);
            item.attempts >= count && (waits || matches!(item.state, OutboxState::Failed { .. }))
        })
        .await;
        self.item().await
    }
}

/// Waits until `holds`, for 20 seconds at most.
async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..4_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("this did not happen: {what}");
}

fn tenant(name: &str) -> Tenant {
    Tenant {
        id: TENANT,
        display_name: name.to_owned(),
        domains: vec![TenantDomain { name: "contoso.example".parse().unwrap(), verified: true, dns: None }],
        hosts: vec![],
        privacy: PrivacyProfile::default(),
        branding: Branding { accent: Some(Color::try_from("#7a1fa2".to_owned()).unwrap()), logo: None },
        policy: TenantPolicy::default(),
        created: Timestamp::UNIX_EPOCH,
        enabled: true,
    }
}

fn sender() -> Sender {
    Sender { name: Some("Guest sign-in".to_owned()), address: "guests@gate.example".parse().unwrap() }
}

/// A passcode mail of `tenant` to `to`.
fn passcode(tenant: &Tenant, to: &str, language: Option<&str>) -> Mail {
    let (to, code, origin) = (to.parse().unwrap(), Secret::new(CODE), "https://gate.example/".parse().unwrap());
    let language = language.map(|tag| tag.parse().unwrap());
    let passcode = Passcode { tenant, to: &to, code: &code, minutes: 10, language: language.as_ref(), origin: Some(&origin) };
    passcode.mail(&sender()).unwrap()
}

fn to_alice() -> Mail {
    passcode(&tenant("Contoso"), "alice@fabrikam.example", None)
}

fn parse(message: &[u8]) -> Message<'_> {
    MessageParser::default().parse(message).expect("a message")
}

/// A transport to `sink`, with `rest` after the address.
fn smtp(sink: &Sink, scheme: &str, rest: &str) -> Arc<SmtpTransport> {
    let url = Secret::new(format!("{scheme}://{}{rest}", sink.address));
    let limits = SmtpLimits { reply: Duration::from_millis(700), ..SmtpLimits::default() };
    Arc::new(SmtpTransport::new(&url, None, Some(sink.root_pem().as_bytes()), limits).unwrap())
}
