//! The outbox: mails that wait in the store, sealed, from the commit that announces them until they are sent.
//!
//! A mail is queued in the same commit as what it announces, so neither is there without the other. Its content is sealed
//! under the server's key ring and bound to its place; it is erased with the record when the mail is sent, and from the
//! record when it is given up. What stays of a mail that was given up is the reason, for an administrator to see.
//!
//! The mail of an invitation reports to the invitation's [`Delivery`]: queued, how often tried, why the last attempt failed,
//! sent or given up. Each report is in the same commit as what it says, so the two never differ.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Mail, MailId};
use crate::{
    clock::{Clock, Entropy},
    domain::{InvitationId, TenantId, invitation::Invitation},
    seal::KeyRing,
    store::{
        Batch,
        records::{Delivery, DeliveryState, RecordKey, Stored, delivery, kind},
    },
};

/// How long the trace of a mail that was given up stays. A queued mail that no worker looks after disappears as long after its
/// end.
pub(super) const TRACE_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long the mail of an invitation, and the notice of it, is tried to be sent: long enough for a weekend without the mail
/// server.
pub const INVITATION_TRIED: SignedDuration = SignedDuration::from_hours(3 * 24);

/// A mail in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutboxItem {
    /// Its id.
    pub id: MailId,
    /// The invitation that it brings, whose [`Delivery`] says what becomes of it.
    #[serde(default)]
    pub invitation: Option<InvitationId>,
    /// When it was queued.
    pub created: Timestamp,
    /// It is not sent from here on: what it says has ended (checklist F-15).
    pub not_after: Timestamp,
    /// How often it was taken up.
    pub attempts: u32,
    /// When it may next be taken up. While somebody is sending it, the time at which they are taken for dead.
    pub next_attempt: Timestamp,
    /// Why the last attempt failed: reply codes and our own words, no content, no addresses.
    pub last_error: Option<String>,
    /// Where it stands.
    pub state: OutboxState,
}

/// Where a mail in the store stands. A mail that was sent is not there any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "state")]
pub enum OutboxState {
    /// To be sent.
    Queued {
        /// The mail, sealed, with whether it is meant for anybody.
        sealed: String,
    },
    /// Given up.
    Failed {
        /// When.
        at: Timestamp,
        /// Whom it was for, masked.
        to: String,
    },
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    /// To nobody: queued so that asking for a code does the same work whether or not the address is known (decision 3).
    pub(super) decoy: bool,
    /// The mail.
    pub(super) mail: Mail,
}

impl OutboxItem {
    /// Whether its content opens: sealed by this ring, for this tenant and mail. What was given up has none.
    #[must_use]
    pub fn opens(&self, tenant: TenantId, ring: &KeyRing) -> bool {
        match &self.state {
            OutboxState::Queued { sealed } => ring.open::<Content>(&purpose(tenant, self.id), sealed).is_some(),
            OutboxState::Failed { .. } => true,
        }
    }

    /// Adds to `batch`, which writes or deletes this mail as it is here, what the invitation's [`Delivery`] says of it then.
    pub(super) fn reported(&self, batch: Batch, tenant: TenantId, state: DeliveryState) -> Batch {
        let Some(invitation) = self.invitation else { return batch };
        let last_error = self.last_error.clone().filter(|_| !matches!(state, DeliveryState::Sent { .. }));
        let report = Delivery { invitation, attempts: self.attempts, last_error, state };
        batch.put(&delivery(tenant, invitation), &report)
    }

    /// What the invitation's [`Delivery`] says while this mail waits.
    pub(super) fn waiting(&self) -> DeliveryState {
        DeliveryState::Queued { since: self.created, mail: self.id }
    }
}

/// A mail in the store.
#[must_use]
pub fn outbox_item(tenant: TenantId, id: MailId) -> RecordKey<OutboxItem> {
    RecordKey::in_tenant(tenant, kind::OUTBOX, &[id.0.as_bytes()])
}

/// All mails of a tenant in the store, those that were given up among them. A prefix: read it in pages.
#[must_use]
pub fn outbox_items(tenant: TenantId) -> RecordKey<OutboxItem> {
    RecordKey::in_tenant(tenant, kind::OUTBOX, &[])
}

/// Queues mails, and sends them with [`Outbox::run`]. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    pub(super) ring: Arc<KeyRing>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outbox")
    }
}

impl Outbox {
    /// An outbox that seals with `ring`.
    #[must_use]
    pub fn new(ring: Arc<KeyRing>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { ring, clock, entropy }
    }

    /// Adds `mail` to `batch`, so that it is queued if and only if the batch commits. It is sent before `not_after` or
    /// never. A `decoy` is queued, sealed, taken up and erased like any mail, and not handed to the transport.
    ///
    /// # Panics
    /// When `batch` is not of the partition of `tenant`, which is a fault in the calling code.
    pub fn enqueue(&self, batch: Batch, tenant: TenantId, mail: &Mail, not_after: Timestamp, decoy: bool) -> Batch {
        let item = self.item(tenant, mail, not_after, decoy);
        batch.put_until(&outbox_item(tenant, item.id), &item, Some(forgotten(not_after)))
    }

    /// Adds the `mail` that brings `invitation` to `batch`, which also stores the invitation, and its [`Delivery`]. It is
    /// tried for three days, and not sent once the invitation was redeemed or has ended in whatever way.
    ///
    /// # Panics
    /// When `batch` is not of the partition of `tenant`, which is a fault in the calling code.
    pub fn enqueue_invitation(&self, batch: Batch, tenant: TenantId, mail: &Mail, invitation: &Invitation) -> Batch {
        let tried = self.clock.now().saturating_add(INVITATION_TRIED).unwrap_or(Timestamp::MAX);
        let not_after = invitation.expires.map_or(tried, |end| end.min(tried));
        let item = OutboxItem { invitation: Some(invitation.id), ..self.item(tenant, mail, not_after, false) };
        let batch = batch.put_until(&outbox_item(tenant, item.id), &item, Some(forgotten(not_after)));
        item.reported(batch, tenant, item.waiting())
    }

    /// Takes back the mail of an invitation that ends with `batch`, if it still waits: its content goes, and the [`Delivery`]
    /// says that it was withdrawn. `read` is that record as it was read: when the mail is taken up, sent or given up
    /// meanwhile, the batch conflicts. A mail that is being sent at this moment may arrive all the same; the link in it then
    /// says that the invitation has ended. The [`Delivery`], whatever it says, is kept until `kept`; for ever with `None`.
    ///
    /// # Panics
    /// When `batch` is not of the partition of `tenant`, which is a fault in the calling code.
    pub fn withdraw(&self, batch: Batch, tenant: TenantId, read: &Stored<Delivery>, kept: Option<Timestamp>) -> Batch {
        let key = delivery(tenant, read.value.invitation);
        let (batch, delivery) = match read.value.state {
            DeliveryState::Queued { mail, .. } => {
                let state = DeliveryState::Withdrawn { at: self.clock.now() };
                (batch.delete(&outbox_item(tenant, mail)), Delivery { state, ..read.value.clone() })
            }
            _ => (batch, read.value.clone()),
        };
        batch.unchanged(&key, Some(read)).put_until(&key, &delivery, kept)
    }

    /// A mail that waits from now on.
    fn item(&self, tenant: TenantId, mail: &Mail, not_after: Timestamp, decoy: bool) -> OutboxItem {
        let id = MailId::random(&*self.entropy);
        let created = self.clock.now();
        let content = Content { decoy, mail: mail.clone() };
        OutboxItem {
            id,
            invitation: None,
            created,
            not_after,
            attempts: 0,
            next_attempt: created,
            last_error: None,
            state: OutboxState::Queued { sealed: self.ring.seal(&purpose(tenant, id), &content, &*self.entropy) },
        }
    }

    /// What was sealed at this place; `None` when another ring sealed it, or another place.
    pub(super) fn open(&self, tenant: TenantId, id: MailId, sealed: &str) -> Option<Content> {
        self.ring.open(&purpose(tenant, id), sealed)
    }
}

/// When a record disappears by itself.
pub(super) fn forgotten(end: Timestamp) -> Timestamp {
    end.saturating_add(TRACE_KEPT).unwrap_or(Timestamp::MAX)
}

fn purpose(tenant: TenantId, id: MailId) -> Vec<u8> {
    [b"outbox", tenant.as_bytes().as_slice(), id.0.as_bytes()].concat()
}
