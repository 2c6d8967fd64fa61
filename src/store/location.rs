//! Where a store is, and opening it.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use anyhow::Context as _;
use futures_util::future::BoxFuture;

use super::SharedStore;
use crate::clock::Clock;

/// Where a store is: a file, as a path.
#[derive(Clone, Debug)]
pub enum Location {
    /// One file, for one process.
    #[cfg(feature = "embedded")]
    Embedded(PathBuf),
}

/// A store that is open.
pub struct Opened {
    /// The store.
    pub store: SharedStore,
    /// Resolves, with the reason, when this process cannot go on with it and should be started again.
    pub failed: BoxFuture<'static, String>,
}

impl Location {
    /// Opens the store, judging expiry by `clock`.
    ///
    /// # Errors
    /// When it cannot be opened, with the reason.
    pub fn open(&self, clock: Arc<dyn Clock>) -> anyhow::Result<Opened> {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(path) => {
                let store = super::embedded::EmbeddedStore::open(path, clock).with_context(|| path.display().to_string())?;
                let failed = store.failed();
                Ok(Opened { store: Arc::new(store), failed: Box::pin(failed) })
            }
        }
    }
}

impl Location {
    /// The same with paths below `folder` where they are relative.
    #[must_use]
    pub fn below(self, folder: &Path) -> Self {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(path) => Self::Embedded(folder.join(path)),
        }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("file", path)) => Ok(Self::Embedded(path.into())),
            Some((scheme, _)) => Err(format!("{scheme}: a store is a path, or a URL of Redis")),
            None if text.is_empty() => Err("a store is a path, or a URL of Redis".into()),
            None => Ok(Self::Embedded(text.into())),
        }
    }
}
