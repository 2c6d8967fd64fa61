//! What a Redis says when it does not do what it was asked, and what follows from it.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

/// Why something that was sent did not succeed.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// It did not happen; the server that was asked is not, or not now, the one to ask. Worth another try after a look at
    /// who is.
    Elsewhere(String),
    /// It did not happen; the server does not know the script.
    NoScript,
    /// It did not happen and trying again at once is no use.
    Refused(String),
    /// The connection broke or nothing came back in time: it may have happened.
    Unknown(String),
}

impl Trouble {
    /// What `error` means for one command.
    pub(super) fn of(error: &RedisError) -> Self {
        // Details can hold what was sent.
        let said = match error.code() {
            Some(code) => format!("Redis says {code}"),
            None => format!("Redis: {}", error.category()),
        };
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::NoScript) => Self::NoScript,
            // ASK: the slot is being moved. The node it is moved to would answer TRYAGAIN until it has every key of a batch,
            // and some never exist, so there is nothing to do but to wait until it is done.
            ErrorKind::Server(
                ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading,
            ) => Self::Elsewhere(said),
            // OOM, MISCONF, NOREPLICAS, NOPERM, BUSY and whatever else it answered.
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::AuthenticationFailed => Self::Refused(said),
            _ if error.is_connection_refusal() => Self::Elsewhere(said),
            _ => Self::Unknown(if error.is_timeout() { "Redis did not answer in time".into() } else { said }),
        }
    }

    /// What the caller of the store is told.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Elsewhere(reason) | Self::Refused(reason) => reason.clone(),
            Self::Unknown(reason) => format!("{reason}; whether it was written is not known"),
            Self::NoScript => "Redis forgets its scripts".into(),
        }
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        Self::Unavailable(trouble.reason())
    }
}
