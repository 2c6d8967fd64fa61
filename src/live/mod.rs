//! What doors must know at once: which sessions ended, who is blocked, and whether there are new terms.
//!
//! Every door asks [`Live`] on every request, without a store read and without a lock that a writer holds. [`LiveState`]
//! answers from memory. On the server it is fed by the store's changes; in the remote layer by the server's feed: [`Line`]s
//! that [`FeedLog`] numbers and a [`Follower`] reads.
//!
//! # The feed
//!
//! `GET {base}/{tenant}/live/v1/feed`, newline-delimited JSON, one [`Line`] each. A feed has a stream id, and every event of
//! it the next number. One who comes back names both (`?stream=…&after=…`) and gets what was missed, or else a snapshot. A
//! heartbeat a second says how far the feed is, as long as the server itself is in touch with its store. Only a heartbeat
//! that finds the reader at exactly that place counts as news, and as no newer than the server's own: a reader that is
//! behind, or hears nothing, stops being [fresh](Live::fresh), and doors close.

use jiff::Timestamp;

use crate::domain::{AppId, SessionId, TenantId, UserId};

mod event;
mod follower;
#[cfg(feature = "server")]
mod log;
mod state;

pub use event::{Line, LiveEvent, Position, SnapshotPart, StreamId};
pub use follower::{Broken, Follower};
#[cfg(feature = "server")]
pub use log::{FeedLog, Subscription, TooSlow};
pub use state::LiveState;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStanding {
    /// Nothing is known against it.
    Valid,
    /// It was ended: a sign-out, or all sessions of its user were.
    Ended,
    /// Its user is blocked.
    Blocked,
}

/// What is known at this moment. Answers come from memory, at once.
pub trait Live: Send + Sync {
    /// Where the session of a user stands that began at `began`.
    fn session(&self, tenant: TenantId, user: UserId, session: SessionId, began: Timestamp) -> SessionStanding;

    /// The count of changes of terms that concern `app`. Who settled under a smaller one has to be asked again.
    fn terms_epoch(&self, tenant: TenantId, app: AppId) -> u64;

    /// Whether news are recent enough to let anybody in on their word.
    fn fresh(&self, now: Timestamp) -> bool;
}
