//! Mail, from the commit that announces it to a real SMTP conversation or a file.

mod delivery;
mod failures;
mod foreign;
mod invitation;
mod invited;
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
        EmailAddress, InvitationId, LanguageTag, TenantId, UserId,
        audit::Actor,
        invitation::{Invitation, InvitationState},
        tenant::{Branding, Color, PrivacyProfile, Tenant, TenantDomain, TenantPolicy},
    },
    mail::{
        self, Inviter, Mail, Outbox, OutboxItem, OutboxSettings, OutboxState, Passcode, Sender, SmtpLimits, SmtpTransport,
        Transport, outbox_items,
    },
    seal::KeyRing,
    secret::{Secret, SecretHash},
    store::{
        Batch, Partition, SharedStore,
        memory::MemoryStore,
        records::{self, Delivery, Store, Stored, TenantListed, tenant_listed},
    },
};

use sink::Sink;

/// The code in every mail of these tests, as it is typed and as it is shown.
const CODE: &str = "73914682";
const SHOWN: &str = "7391 4682";

/// The ticket in every invitation of these tests, and the link that it is in.
const TICKET: &str = "q3Zr8LwT0vYx5NbKc1HsJd7GfUe2MaPo9RiVt4WlXyA";
const LINK: &str = "https://gate.example/redeem?tenant=00000000-0000-0000-0000-0000000000c0&user=00000000-0000-0000-0000-000000000001&ticket=q3Zr8LwT0vYx5NbKc1HsJd7GfUe2MaPo9RiVt4WlXyA";

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

    /// An invitation that ends in 30 days.
    fn invitation(&self) -> Invitation {
        Invitation {
            id: InvitationId(Uuid::from_u128(1)),
            user: UserId(Uuid::from_u128(2)),
            address: Some("alice@fabrikam.example".parse().unwrap()),
            redirect: "https://expenses.contoso.example/start".parse().unwrap(),
            ticket: SecretHash::of(TICKET.as_bytes()),
            invited_by: Actor::Operator,
            created: self.clock.now(),
            expires: Some(self.in_minutes(30 * 24 * 60)),
            state: InvitationState::Open,
        }
    }

    /// Queues the mail of `invitation`.
    async fn invite(&self, invitation: &Invitation) {
        let batch = Batch::new(Partition::Tenant(TENANT));
        let mail = Said::default().mail(&tenant("Contoso"));
        let batch = batch.put(&records::invitation(TENANT, invitation.id), invitation);
        self.store.commit(self.outbox.enqueue_invitation(batch, TENANT, &mail, invitation)).await.unwrap();
    }

    /// What became of the mail of `invitation`.
    async fn delivery(&self, invitation: &Invitation) -> Stored<Delivery> {
        self.store.get(&records::delivery(TENANT, invitation.id)).await.unwrap().expect("a delivery")
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

/// What is particular about an invitation; else Adele of Contoso invites Alice and says nothing.
struct Said {
    guest_name: &'static str,
    inviter: Option<(String, Option<EmailAddress>)>,
    message: Option<String>,
    message_language: Option<LanguageTag>,
    guest_language: Option<LanguageTag>,
    expires: Option<Timestamp>,
}

impl Default for Said {
    fn default() -> Self {
        let expires = Some("2026-12-22T20:00:00Z".parse().unwrap());
        let inviter = Some(("Adele Vance".to_owned(), Some("adele@contoso.example".parse().unwrap())));
        Self { guest_name: "Alice King", inviter, message: None, message_language: None, guest_language: None, expires }
    }
}

impl Said {
    fn message(text: &str) -> Self {
        Self { message: Some(text.to_owned()), ..Self::default() }
    }

    /// The mail to Alice.
    fn mail(&self, tenant: &Tenant) -> Mail {
        self.write(tenant, |invitation| invitation.mail(&sender()).unwrap())
    }

    /// The note to `to`, in which Alice is called `guest`.
    fn notice(&self, tenant: &Tenant, to: &str, guest: &str) -> Mail {
        let to = to.parse().unwrap();
        self.write(tenant, |invitation| invitation.notice(&sender(), &to, guest).unwrap())
    }

    fn write(&self, tenant: &Tenant, write: impl FnOnce(&mail::Invitation<'_>) -> Mail) -> Mail {
        write(&mail::Invitation {
            tenant,
            to: &"alice@fabrikam.example".parse().unwrap(),
            guest_name: Some(self.guest_name),
            inviter: self.inviter.as_ref().map(|(name, mail)| Inviter { name, mail: mail.as_ref() }),
            link: &Secret::new(LINK),
            redirect: &"https://expenses.contoso.example:8443/start?x=1".parse().unwrap(),
            expires: self.expires,
            message: self.message.as_deref(),
            message_language: self.message_language.as_ref(),
            guest_language: self.guest_language.as_ref(),
            public_url: &"https://gate.example/".parse().unwrap(),
        })
    }
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
