//! The outbox worker: finds mails in the store, sends each, and erases it.
//!
//! Several nodes may run one. A mail is claimed by a checked write that hides it until the claim's end, so only one of them
//! sends it. A node that dies between sending and erasing leaves a mail that another sends again: the same bytes under the
//! same `Message-ID` (checklist F-16), at least once rather than at most once.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    MailId, Outbox, OutboxItem, OutboxState, SendError, Transport,
    agenda::{Agenda, Place},
    outbox::{Content, forgotten, outbox_item, outbox_items},
};
use crate::{
    domain::TenantId,
    store::{
        Batch, Change, Key, Partition, StoreError,
        records::{self, DeliveryState, Store, Stored, decode, kind, tenants_listed},
        walk::Walk,
    },
};

/// How the worker goes about it.
#[derive(Clone, Debug)]
pub struct OutboxSettings {
    /// How long to wait after the first failure; doubled after each further one, with a random part.
    pub first_delay: SignedDuration,
    /// The longest wait between two attempts.
    pub longest_delay: SignedDuration,
    /// After so many attempts a mail is given up.
    pub attempts: u32,
    /// How long one attempt may take.
    pub attempt_limit: Duration,
    /// How long a claim holds. Longer than an attempt may take, so that only the dead lose theirs.
    pub claim: SignedDuration,
    /// Mails under way at once.
    pub at_once: usize,
    /// Mails of one tenant under way at once.
    pub at_once_per_tenant: usize,
    /// How often to look at the clock, which may be set, when nothing else happens.
    pub look: Duration,
}

impl Default for OutboxSettings {
    /// 1 s to 15 min between attempts, at most 600 of them (three days), of at most 60 s, 8 at once, 4 for one tenant.
    fn default() -> Self {
        Self {
            first_delay: SignedDuration::from_secs(1),
            longest_delay: SignedDuration::from_mins(15),
            attempts: 600,
            attempt_limit: Duration::from_secs(60),
            claim: SignedDuration::from_secs(120),
            at_once: 8,
            at_once_per_tenant: 4,
            look: Duration::from_secs(5),
        }
    }
}

impl OutboxSettings {
    /// How long to wait after the `attempts`-th attempt failed: between half and all of a delay that doubles.
    fn delay(&self, attempts: u32, random: u32) -> SignedDuration {
        let doubled = 1i64.checked_shl(attempts.saturating_sub(1).min(40)).unwrap_or(i64::MAX);
        let longest = self.longest_delay.as_millis();
        let whole = (self.first_delay.as_millis() * i128::from(doubled)).min(longest);
        let half = whole / 2;
        let millis = half + (whole - half) * i128::from(random) / i128::from(u32::MAX);
        SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

/// How long mails that are under way may take when the server stops. What is cut off is sent again after its claim's end.
const GRACE: Duration = Duration::from_secs(10);

/// What the worker's attempts share.
struct Worker {
    outbox: Outbox,
    store: Store,
    transport: Arc<dyn Transport>,
    settings: OutboxSettings,
}

impl Outbox {
    /// Sends what is queued, now and from now on, until `shutdown`. Never gives up by itself: a store or a mail server that
    /// fails is tried again.
    pub async fn run(self, store: Store, transport: Arc<dyn Transport>, settings: OutboxSettings, shutdown: CancellationToken) {
        let mut watch = store.watch();
        let mut agenda = Agenda::new(settings.at_once, settings.at_once_per_tenant);
        let worker = Arc::new(Worker { outbox: self, store, transport, settings });
        let mut attempts = JoinSet::new();
        let mut scanned = false;
        while !shutdown.is_cancelled() {
            if !scanned {
                agenda.clear();
                match worker.scan(&mut agenda).await {
                    Ok(()) => scanned = true,
                    Err(error) => warn!(%error, "the outbox cannot be read"),
                }
            }
            while let Some(place) = agenda.take_due(worker.now()) {
                let worker = Arc::clone(&worker);
                attempts.spawn(async move { (place, worker.attempt(place).await) });
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = attempts.join_next(), if !attempts.is_empty() => match ended {
                    Ok((place, next)) => {
                        agenda.finish(place);
                        if let Some(time) = next {
                            agenda.plan(place, time);
                        }
                    }
                    // Which mail that was is not known; the scan finds it again.
                    Err(error) => {
                        warn!(%error, "an attempt to send a mail ended badly");
                        agenda = Agenda::new(worker.settings.at_once, worker.settings.at_once_per_tenant);
                        scanned = false;
                    }
                },
                change = watch.next() => match change {
                    Some(Change::Keys(keys)) => keys.iter().filter_map(place).for_each(|place| agenda.plan(place, Timestamp::MIN)),
                    Some(Change::Lost) => scanned = false,
                    Some(Change::Current(_)) => {}
                    None => break,
                },
                () = tokio::time::sleep(worker.wait(&agenda)) => {}
            }
        }
        let finishing = async { while attempts.join_next().await.is_some() {} };
        if timeout(GRACE, finishing).await.is_err() {
            warn!("mails that were under way will be sent again");
        }
    }
}

/// The mail that a key names, if it names one.
fn place(key: &Key) -> Option<Place> {
    let Partition::Tenant(tenant) = key.partition() else { return None };
    let id = key.segments().next().filter(|_| key.kind() == kind::OUTBOX)?;
    Some((tenant, MailId(uuid::Uuid::from_slice(id).ok()?)))
}

impl Worker {
    fn now(&self) -> Timestamp {
        self.outbox.clock.now()
    }

    /// How long to sleep if nothing happens.
    fn wait(&self, agenda: &Agenda) -> Duration {
        let due = agenda.next_time().map(|time| time.duration_since(self.now()));
        let due = due.and_then(|due| Duration::try_from(due.max(SignedDuration::from_millis(1))).ok());
        due.map_or(self.settings.look, |due| due.min(self.settings.look))
    }

    /// Plans every mail that waits in the store.
    async fn scan(&self, agenda: &mut Agenda) -> Result<(), StoreError> {
        for listed in self.store.list(&tenants_listed()).await? {
            let mut walk = Walk::under(&**self.store.backend(), outbox_items(listed.value.id).key().clone());
            while let Some(entry) = walk.next().await? {
                let Some(place) = place(&entry.key) else { continue };
                match decode::<OutboxItem>(entry) {
                    Ok(item) if matches!(item.value.state, OutboxState::Failed { .. }) => {}
                    Ok(item) => agenda.plan(place, item.value.next_attempt),
                    Err(error) => warn!(%error, mail = %place.1, "a queued mail is unreadable"),
                }
            }
        }
        Ok(())
    }

    /// Looks at a mail and sends it if it is time. Says when to look again; `None` when it is done with.
    async fn attempt(&self, (tenant, id): Place) -> Option<Timestamp> {
        match self.try_attempt(tenant, id).await {
            Ok(next) => next,
            // Somebody else was quicker, or the store is away: what the record says then decides.
            Err(StoreError::Conflict) => Some(self.now()),
            Err(StoreError::Unavailable(error)) => {
                warn!(%error, mail = %id, "the outbox cannot be written");
                Some(self.later(self.settings.first_delay))
            }
            Err(error @ StoreError::Corrupt(_)) => {
                warn!(%error, mail = %id, "a queued mail is unreadable");
                None
            }
        }
    }

    async fn try_attempt(&self, tenant: TenantId, id: MailId) -> Result<Option<Timestamp>, StoreError> {
        let key = outbox_item(tenant, id);
        let Some(found) = self.store.get(&key).await? else { return Ok(None) };
        let OutboxState::Queued { sealed } = &found.value.state else { return Ok(None) };
        let now = self.now();
        if found.value.next_attempt > now {
            return Ok(Some(found.value.next_attempt));
        }
        let Some(content) = self.outbox.open(tenant, id, sealed) else {
            return self.give_up(tenant, &found, None, "it cannot be opened with this key ring").await;
        };
        let Some(claimed) = self.claim(tenant, &found).await? else { return Ok(Some(self.now())) };
        if let Some(invitation) = claimed.value.invitation {
            let brought = self.store.get(&records::invitation(tenant, invitation)).await?;
            if !brought.as_ref().is_some_and(|stored| stored.value.is_open(now)) {
                return self.let_fall(tenant, &claimed, brought.is_some()).await;
            }
        }
        match self.hand_over(&claimed.value, &content).await {
            Ok(()) => {
                if !content.decoy {
                    let to = content.mail.to.masked();
                    info!(mail = %id, %tenant, %to, attempts = claimed.value.attempts, "mail sent");
                    metrics::counter!("vestibule_mails_total", "outcome" => "sent").increment(1);
                }
                self.erase(tenant, &claimed).await
            }
            Err(SendError::Permanent(reason)) => self.give_up(tenant, &claimed, Some(&content), &reason).await,
            Err(SendError::Transient(reason)) => self.put_back(tenant, &claimed, &content, &reason).await,
        }
    }

    /// Gives the mail to the transport, or, when it is for nobody, to nobody: they differ in nothing before.
    async fn hand_over(&self, item: &OutboxItem, content: &Content) -> Result<(), SendError> {
        let rendered = content.mail.compose(item.id, item.created).map_err(|error| SendError::Permanent(error.to_string()))?;
        if content.decoy {
            return Ok(());
        }
        let left = Duration::try_from(item.not_after.duration_since(self.now())).unwrap_or_default();
        if left.is_zero() {
            return Err(SendError::Permanent("its time ended before it could be sent".to_owned()));
        }
        let sending = self.transport.send(&rendered);
        let ended = timeout(self.settings.attempt_limit.min(left), sending).await;
        ended.unwrap_or_else(|_| Err(SendError::Transient("no end within the time for one attempt".to_owned())))
    }

    /// Hides the mail from others until the claim's end. `None` when somebody else has it.
    async fn claim(&self, tenant: TenantId, found: &Stored<OutboxItem>) -> Result<Option<Stored<OutboxItem>>, StoreError> {
        let key = outbox_item(tenant, found.value.id);
        let mut item = found.value.clone();
        item.attempts += 1;
        item.next_attempt = self.later(self.settings.claim);
        let batch = Batch::new(Partition::Tenant(tenant)).unchanged(&key, Some(found));
        let batch = batch.put_until(&key, &item, Some(forgotten(item.not_after)));
        self.store.commit(item.reported(batch, tenant, item.waiting())).await?;
        // Nobody touches it before the claim's end, so what is read here is what was written, with the version it was given.
        let claimed = self.store.get(&key).await?;
        Ok(claimed.filter(|read| read.value.attempts == item.attempts && read.value.next_attempt == item.next_attempt))
    }

    /// The mail was sent: nothing of it stays. A store that is away for a moment must not make it be sent twice.
    async fn erase(&self, tenant: TenantId, claimed: &Stored<OutboxItem>) -> Result<Option<Timestamp>, StoreError> {
        let key = outbox_item(tenant, claimed.value.id);
        loop {
            let batch = Batch::new(Partition::Tenant(tenant)).unchanged(&key, Some(claimed)).delete(&key);
            let sent = DeliveryState::Sent { at: self.now() };
            match self.store.commit(claimed.value.reported(batch, tenant, sent)).await {
                Ok(()) => return Ok(None),
                Err(StoreError::Unavailable(error)) if self.now() < claimed.value.next_attempt => {
                    debug!(%error, mail = %claimed.value.id, "a mail that was sent cannot be erased yet");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The invitation that the mail brings was redeemed or has ended, or is gone and its delivery with it.
    async fn let_fall(
        &self,
        tenant: TenantId,
        claimed: &Stored<OutboxItem>,
        told: bool,
    ) -> Result<Option<Timestamp>, StoreError> {
        let key = outbox_item(tenant, claimed.value.id);
        let batch = Batch::new(Partition::Tenant(tenant)).unchanged(&key, Some(claimed)).delete(&key);
        let batch = match claimed.value.invitation {
            Some(invitation) if !told => batch.delete(&records::delivery(tenant, invitation)),
            _ => claimed.value.reported(batch, tenant, DeliveryState::Withdrawn { at: self.now() }),
        };
        self.store.commit(batch).await?;
        info!(mail = %claimed.value.id, %tenant, "mail of an invitation that is no longer open not sent");
        Ok(None)
    }

    /// The attempt failed and another may succeed.
    async fn put_back(
        &self,
        tenant: TenantId,
        claimed: &Stored<OutboxItem>,
        content: &Content,
        reason: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut item = claimed.value.clone();
        let mut random = [0; 4];
        self.outbox.entropy.fill(&mut random);
        item.next_attempt = self.later(self.settings.delay(item.attempts, u32::from_ne_bytes(random)));
        if item.attempts >= self.settings.attempts || item.next_attempt >= item.not_after {
            return self.give_up(tenant, claimed, Some(content), reason).await;
        }
        if !content.decoy {
            warn!(mail = %item.id, %tenant, attempts = item.attempts, reason, "mail not sent, will be tried again");
            metrics::counter!("vestibule_mails_total", "outcome" => "put_back").increment(1);
        }
        item.last_error = Some(reason.to_owned());
        let key = outbox_item(tenant, item.id);
        let batch = Batch::new(Partition::Tenant(tenant)).unchanged(&key, Some(claimed));
        let batch = batch.put_until(&key, &item, Some(forgotten(item.not_after)));
        self.store.commit(item.reported(batch, tenant, item.waiting())).await?;
        Ok(Some(item.next_attempt))
    }

    /// The mail will not be sent. Its content goes; the reason stays, unless the mail was for nobody.
    async fn give_up(
        &self,
        tenant: TenantId,
        read: &Stored<OutboxItem>,
        content: Option<&Content>,
        reason: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let key = outbox_item(tenant, read.value.id);
        let batch = Batch::new(Partition::Tenant(tenant)).unchanged(&key, Some(read));
        if content.is_some_and(|content| content.decoy) {
            self.store.commit(batch.delete(&key)).await?;
            return Ok(None);
        }
        let at = self.now();
        let to = content.map(|content| content.mail.to.masked()).unwrap_or_default();
        warn!(mail = %read.value.id, %tenant, %to, attempts = read.value.attempts, reason, "mail given up");
        metrics::counter!("vestibule_mails_total", "outcome" => "given_up").increment(1);
        let item =
            OutboxItem { last_error: Some(reason.to_owned()), state: OutboxState::Failed { at, to }, ..read.value.clone() };
        let batch = batch.put_until(&key, &item, Some(forgotten(at)));
        self.store.commit(item.reported(batch, tenant, DeliveryState::Failed { at })).await?;
        Ok(None)
    }

    fn later(&self, delay: SignedDuration) -> Timestamp {
        self.now().saturating_add(delay).unwrap_or(Timestamp::MAX)
    }
}
