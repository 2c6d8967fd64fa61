//! Where a store is, and opening it.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use anyhow::Context as _;
use futures_util::future::BoxFuture;

#[cfg(feature = "redis")]
use super::redis::{RedisSettings, RedisStore};
use super::{SharedStore, StoreError};
use crate::clock::{Clock, Entropy};

/// Where a store is: a path, or a URL as [`RedisSettings`] describes it. `Display` leaves credentials out.
#[derive(Clone, Debug)]
pub enum Location {
    /// One file, for one process.
    #[cfg(feature = "embedded")]
    Embedded(PathBuf),
    /// A Redis, for any number of nodes.
    #[cfg(feature = "redis")]
    Redis(Box<RedisSettings>),
}

/// A store that is open.
pub struct Opened {
    /// The store.
    pub store: SharedStore,
    /// Resolves when it can be used; with the reason when it is refused.
    pub ready: BoxFuture<'static, Result<(), String>>,
    /// Resolves, with the reason, when this process cannot go on with it and should be started again.
    pub failed: BoxFuture<'static, String>,
    /// Where the store can be read as it is at one moment.
    pub snapshots: Option<Snapshots>,
}

/// Takes snapshots: what is stored at that moment, while others go on writing. They cannot be written to.
pub type Snapshots = Arc<dyn Fn() -> Result<SharedStore, StoreError> + Send + Sync>;

impl Location {
    /// Opens the store, judging expiry by `clock`; one that is shared marks its writes by `entropy`.
    ///
    /// # Errors
    /// When it cannot be opened, with the reason.
    #[cfg_attr(not(feature = "redis"), expect(unused_variables, reason = "a file has one writer, and needs no marks"))]
    pub fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> anyhow::Result<Opened> {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(path) => {
                let store = super::embedded::EmbeddedStore::open(path, clock).with_context(|| path.display().to_string())?;
                let (failed, store) = (store.failed(), Arc::new(store));
                let snapshots: Snapshots = Arc::new({
                    let store = Arc::downgrade(&store);
                    move || store.upgrade().ok_or_else(closed)?.snapshot()
                });
                let ready = Box::pin(async { Ok(()) });
                Ok(Opened { store, ready, failed: Box::pin(failed), snapshots: Some(snapshots) })
            }
            #[cfg(feature = "redis")]
            Self::Redis(settings) => {
                let store = RedisStore::start((**settings).clone(), clock, entropy);
                let ready = store.ready();
                let failed = Box::pin(std::future::pending());
                Ok(Opened { store: Arc::new(store), ready: Box::pin(ready), failed, snapshots: None })
            }
        }
    }
}

#[cfg(feature = "embedded")]
fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

impl Location {
    /// The file, where the store is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(path) => Some(path),
            #[allow(unreachable_patterns, reason = "which others there are is a matter of features")]
            _ => None,
        }
    }

    /// The same with paths below `folder` where they are relative.
    #[must_use]
    pub fn below(self, folder: &Path) -> Self {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(path) => Self::Embedded(folder.join(path)),
            #[cfg(feature = "redis")]
            Self::Redis(settings) => Self::Redis(Box::new(settings.below(folder))),
        }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(path) => path.display().fmt(f),
            #[cfg(feature = "redis")]
            Self::Redis(settings) => settings.fmt(f),
        }
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        #[cfg(feature = "redis")]
        if RedisSettings::recognises(text) {
            return Ok(Self::Redis(Box::new(text.parse()?)));
        }
        match text.split_once("://") {
            Some(("file", path)) => Ok(Self::Embedded(path.into())),
            Some(_) => Err("a store is a path, or a URL of Redis".into()),
            // A URL that has lost its beginning; its password would become the name of a file.
            None if text.is_empty() || (text.contains('@') && !text.contains('/')) => {
                Err("a store is a path, or a URL of Redis".into())
            }
            None => Ok(Self::Embedded(text.into())),
        }
    }
}
