//! The outbox: mails that wait in the store, sealed, from the commit that announces them until they are sent.
//!
//! A mail is queued in the same commit as what it announces, so neither is there without the other. Its content is sealed
//! under the server's key ring and bound to its place; it is erased with the record when the mail is sent, and from the
//! record when it is given up. What stays of a mail that was given up is the reason, for an administrator to see.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Mail, MailId};
use crate::{
    clock::{Clock, Entropy},
    domain::TenantId,
    seal::KeyRing,
    store::{
        Batch,
        records::{RecordKey, kind},
    },
};

/// How long the trace of a mail that was given up stays. A queued mail that no worker looks after disappears as long after its
/// end.
pub(super) const TRACE_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A mail in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutboxItem {
    /// Its id.
    pub id: MailId,
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
        let id = MailId::random(&*self.entropy);
        let created = self.clock.now();
        let content = Content { decoy, mail: mail.clone() };
        let item = OutboxItem {
            id,
            created,
            not_after,
            attempts: 0,
            next_attempt: created,
            last_error: None,
            state: OutboxState::Queued { sealed: self.ring.seal(&purpose(tenant, id), &content, &*self.entropy) },
        };
        batch.put_until(&outbox_item(tenant, id), &item, Some(forgotten(not_after)))
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
