//! Load facts, decide purely, commit once: what pages, programs and the command line share.

pub mod accounts;
pub mod apply;
pub mod audit;
pub mod blocked_invitations;
pub mod check;
pub mod directory;
pub mod documents;
pub mod domains;
mod foundation;
pub mod guests;
mod in_process;
pub mod journey;
pub mod keys;
mod lane;
pub mod leave;
pub mod live;
mod loaded;
pub mod opened;
pub mod organisation;
pub mod passwords;
mod person;
pub mod prove;
pub mod redeem;
pub mod restored;
mod seen;
pub mod send_again;
pub mod session;
mod single_flight;
pub mod tokens;

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use foundation::{Foundation, audited};
pub use in_process::InProcess;
pub use lane::{Lanes, Turn};
pub use loaded::Loaded;
pub use seen::Seen;

use crate::{
    domain::{TenantId, WebUrl, user::User},
    identity::{account::Accounts, passcode::Passcodes, passkey::Passkeys, upstream::Upstreams},
    live::{FeedLog, LiveState},
    mail::{Outbox, Sender},
    store::{
        Batch,
        records::{self, UserCutoff},
    },
};

/// Adds to a batch that every door is told from when on sessions of `user` count, and whether the user may not sign in at all.
fn cut_off(batch: Batch, tenant: TenantId, user: &User, blocked: bool, now: Timestamp) -> Batch {
    let cutoff = UserCutoff { user: user.id, sessions_valid_from: user.sessions_valid_from, blocked };
    batch.put_until(&records::user_cutoff(tenant, user.id), &cutoff, Some(cutoff.forget_at(now)))
}

/// A running server, as flows and handlers see it.
#[derive(Debug)]
pub struct Vestibule {
    /// Store, keys, time, randomness.
    pub foundation: Foundation,
    /// The tenants.
    pub directory: directory::Directory,
    /// What doors must know at once.
    pub live: Arc<LiveState>,
    /// The same, for doors elsewhere.
    pub feed: FeedLog,
    /// Documents of agreements, and logos.
    pub documents: documents::Documents,
    /// Home organisations.
    pub upstreams: Upstreams,
    /// One-time passcodes.
    pub passcodes: Passcodes,
    /// Passwords.
    pub accounts: Accounts,
    /// Passkeys.
    pub passkeys: Passkeys,
    /// Mail to be sent.
    pub outbox: Outbox,
    /// Who mails are from.
    pub sender: Sender,
    /// The server is about to stop: streams that never end do.
    pub draining: CancellationToken,
    /// Reverse proxies, which are believed about who their client is.
    pub proxies: Vec<IpAddr>,
}

impl Vestibule {
    /// Whether `host` (without a port) is that of the public URL.
    #[must_use]
    pub fn is_public_host(&self, host: &str) -> bool {
        self.public_url().as_url().host_str() == Some(host)
    }

    /// The origin under which browsers reach the server.
    #[must_use]
    pub fn public_url(&self) -> &WebUrl {
        &self.foundation.public_url
    }
}
