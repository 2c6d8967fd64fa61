//! How mails leave: the trait, and a folder to put them in.

use std::{io, path::PathBuf};

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;

use super::RenderedMail;

/// Hands mails to whoever delivers them.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Hands over one mail. `Ok` means that somebody else has taken responsibility for it.
    ///
    /// # Errors
    /// When it was not handed over, or when it cannot be known whether it was ([`SendError::Transient`]).
    async fn send(&self, mail: &RenderedMail) -> Result<(), SendError>;
}

/// Why a mail was not handed over. The reasons are shown to administrators and logged: they hold reply codes and our own
/// words, never what the other side wrote, which may quote addresses and codes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Worth another try.
    #[error("{0}")]
    Transient(String),
    /// This mail will never be taken.
    #[error("{0}")]
    Permanent(String),
}

/// Puts every mail into a folder as a file of its own, `<time>-<id>.eml`: for demonstrations, tests, and mail systems that
/// pick up files. Files appear whole, can be read by their owner only, and sending a mail again replaces its file.
#[derive(Clone, Debug)]
pub struct FileTransport {
    folder: PathBuf,
}

impl FileTransport {
    /// Mails into `folder`, which is made, for its owner only, where it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        Ok(Self { folder })
    }

    async fn write(&self, mail: &RenderedMail) -> io::Result<()> {
        let name = format!("{}-{}.eml", mail.created.strftime("%Y%m%dT%H%M%SZ"), mail.id);
        let unfinished = self.folder.join(format!(".{name}.part"));
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&unfinished).await?;
        file.write_all(mail.message()).await?;
        // The queue forgets the mail next.
        file.sync_all().await?;
        tokio::fs::rename(unfinished, self.folder.join(name)).await
    }
}

#[async_trait]
impl Transport for FileTransport {
    async fn send(&self, mail: &RenderedMail) -> Result<(), SendError> {
        self.write(mail).await.map_err(|error| SendError::Transient(format!("the mail folder cannot be written: {error}")))
    }
}
