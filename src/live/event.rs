//! The words of the feed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    clock::{Entropy, random_uuid},
    domain::{AppId, SessionId, UserId},
};

/// Something that doors of a tenant must know at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LiveEvent {
    /// Sessions of a user were cut off.
    UserCutoff {
        /// The user.
        user: UserId,
        /// Sessions that began before this are void.
        sessions_valid_from: Timestamp,
        /// Whether the user may not pass at all.
        blocked: bool,
        /// When the last session that this concerns has ended by itself; `None` while the user is blocked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forget: Option<Timestamp>,
    },
    /// All sessions of the tenant were cut off: the store was restored from a backup, and does not know which of them ended
    /// since.
    TenantCutoff {
        /// Sessions that began before this are void.
        sessions_valid_from: Timestamp,
    },
    /// A session ended before its time.
    SessionEnded {
        /// The session.
        session: SessionId,
        /// When it, and whatever was issued in it, would have ended by itself.
        forget: Timestamp,
    },
    /// The terms of the tenant changed. The counts only ever grow.
    TermsEpoch {
        /// The latest change that may concern every sign-in.
        everywhere: u64,
        /// The latest changes that concern single apps only.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        apps: BTreeMap<AppId, u64>,
    },
    /// The tenant's signing keys changed: fetch them before they are needed.
    KeysChanged,
}

impl LiveEvent {
    /// The event as the door of `app` gets it: no app learns which others there are.
    #[must_use]
    pub fn for_app(&self, app: AppId) -> Self {
        match self {
            Self::TermsEpoch { everywhere, apps } => Self::TermsEpoch {
                everywhere: *everywhere,
                apps: apps.get(&app).map(|epoch| (app, *epoch)).into_iter().collect(),
            },
            other => other.clone(),
        }
    }
}

/// Names one run of a feed. Numbers of different streams say nothing about each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(Uuid);

impl StreamId {
    /// A name that was never used before.
    #[must_use]
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(random_uuid(entropy))
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_simple().fmt(f)
    }
}

impl std::str::FromStr for StreamId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// How far a reader has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// In which stream.
    pub stream: StreamId,
    /// The number of the last event that was taken in.
    pub seq: u64,
}

/// One line of the feed. Without event and snapshot it is a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The number of the event; otherwise that of the latest one.
    pub seq: u64,
    /// The stream.
    pub stream: StreamId,
    /// What happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<LiveEvent>,
    /// A part of all that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotPart>,
    /// Of a heartbeat: how many milliseconds old the sender's own news are. They are no younger for having been passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<u32>,
}

/// A part of a snapshot. It replaces what the reader knew when the last part has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPart {
    /// Whether this is the first part.
    pub first: bool,
    /// Whether this is the last part.
    pub last: bool,
    /// What is known, in no order.
    pub events: Vec<LiveEvent>,
}

impl Line {
    /// A heartbeat of somebody whose own news are `age` milliseconds old.
    #[must_use]
    pub fn heartbeat(at: Position, age: u32) -> Self {
        Self { seq: at.seq, stream: at.stream, event: None, snapshot: None, age: Some(age) }
    }

    /// As it goes over the wire, with its line feed.
    #[must_use]
    pub fn to_wire(&self) -> Vec<u8> {
        // Our own types, which always have a form.
        let mut wire = serde_json::to_vec(self).expect("a line is plain data");
        wire.push(b'\n');
        wire
    }
}
