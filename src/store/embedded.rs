//! The store in one file, for one process.
//!
//! All writing is done by one thread, which groups the batches that wait into one commit of the engine (group commit): the
//! more callers at once, the fewer syncs each of them pays for. Every commit is two-phase, because what is stored is chosen
//! by strangers (see redb's `set_two_phase_commit`). Readers see the last durable commit and wait for nobody.

mod snapshot;
mod tables;
mod writer;

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use async_trait::async_trait;
use redb::{Database, DatabaseError, ReadableDatabase, StorageBackend, backends::FileBackend};
use tokio::sync::{broadcast, oneshot, watch};

use self::{
    tables::{Rows, discard_unfinished, prepare, storage_error},
    writer::{Job, Writer},
};
use super::{Backend, Batch, Change, Entry, FEED_CAPACITY, Key, Page, StoreError, Watch};
use crate::clock::Clock;

/// How much of the file the engine keeps in memory at most, in bytes; the operating system caches the rest.
const CACHE_SIZE: usize = 128 * 1024 * 1024;

/// Why a data file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store of this process, has it open.
    #[error("the data file is in use by another process")]
    InUse,
    /// It was written by a version of Vestibule that this one does not understand.
    #[error("the data file has format {found}, this version of Vestibule reads format {known}")]
    Format {
        /// The format in the file.
        found: u64,
        /// The format of this version.
        known: u64,
    },
    /// It is not a data file of Vestibule, or is damaged.
    #[error("this is not a data file of Vestibule, or it is damaged: {0}")]
    Unreadable(String),
    /// The operating system refused.
    #[error("the data file cannot be opened: {0}")]
    Io(#[from] io::Error),
}

impl From<DatabaseError> for OpenError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => Self::InUse,
            DatabaseError::Storage(error) => Self::from(redb::Error::from(error)),
            other => Self::Unreadable(other.to_string()),
        }
    }
}

impl From<redb::Error> for OpenError {
    fn from(error: redb::Error) -> Self {
        match error {
            // So the engine says that a file is none of its own.
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Self::Unreadable(error.to_string()),
            redb::Error::Io(error) => Self::Io(error),
            other => Self::Unreadable(other.to_string()),
        }
    }
}

/// A store in one file. An acknowledged commit is on disk.
///
/// After the first write that the disk refuses the store answers [`StoreError::Unavailable`] to every commit, since what
/// reached the disk is then unknown; see [`EmbeddedStore::failed`]. A batch whose future is dropped before it is answered
/// may be applied or not. Dropping the store finishes the batches that wait and closes the file; the thread that drops it
/// waits for that.
pub struct EmbeddedStore {
    db: Arc<Database>,
    clock: Arc<dyn Clock>,
    /// Not bounded: whoever waits for an answer holds a batch in any case. Taken when the store is dropped.
    queue: Option<mpsc::Sender<Job>>,
    feed: broadcast::Sender<Change>,
    failure: watch::Receiver<Option<String>>,
    engine_commits: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
}

impl EmbeddedStore {
    /// Opens the store in the file at `path`, which is made when missing, readable by its owner only. Expiry is judged by
    /// `clock`. Blocks for milliseconds, after a crash too, whatever the file's size; [`EmbeddedStore::verify`] reads it all.
    ///
    /// # Errors
    /// When the file is in use, of a format of another version, damaged, or not to be reached.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let file = open_private(path)?;
        let lock = file.try_clone()?;
        let backend = FileBackend::new(file)?;
        // Held for the look at an unfinished file only; the engine takes its own locks next.
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => OpenError::InUse,
            std::fs::TryLockError::Error(error) => OpenError::Io(error),
        })?;
        discard_unfinished(&backend)?;
        lock.unlock()?;
        Self::start(backend, clock)
    }

    /// Reads all of a file that nobody has open and compares it with its checksums.
    ///
    /// # Errors
    /// When it is damaged, in use, or not to be reached.
    pub fn verify(path: &Path) -> Result<(), OpenError> {
        let intact = unharmed(|| Ok(Database::open(path)?.check_integrity()?))?;
        if intact { Ok(()) } else { Err(OpenError::Unreadable("its checksums do not match its content".into())) }
    }

    fn start(backend: impl StorageBackend, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let open = || Ok(Database::builder().set_cache_size(CACHE_SIZE).create_with_backend(backend)?);
        let db = Arc::new(unharmed(open)?);
        let next_version = prepare(&db)?;
        let (queue, jobs) = mpsc::channel();
        let (failure_sender, failure) = watch::channel(None);
        let feed = broadcast::Sender::new(FEED_CAPACITY);
        let engine_commits = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            db: db.clone(),
            clock: clock.clone(),
            jobs,
            feed: feed.clone(),
            failure: failure_sender,
            engine_commits: engine_commits.clone(),
            next_version,
            reserved: next_version,
        };
        let writer = std::thread::Builder::new().name("store-writer".into()).spawn(move || writer.run())?;
        Ok(Self { db, clock, queue: Some(queue), feed, failure, engine_commits, writer: Some(writer) })
    }

    /// Resolves, with the reason, once the store no longer accepts commits: the disk refused a write, or the store has been
    /// dropped. The process should then end and be started again; opening the file repairs it.
    pub fn failed(&self) -> impl Future<Output = String> + Send + use<> {
        let mut failure = self.failure.clone();
        async move {
            let reason = failure.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
            reason.unwrap_or_else(|| WRITER_GONE.into())
        }
    }

    /// How many commits the engine has made since the store was opened. Fewer than the batches when they were grouped.
    #[must_use]
    pub fn engine_commits(&self) -> u64 {
        self.engine_commits.load(Ordering::Relaxed)
    }

    fn unavailable(&self) -> StoreError {
        StoreError::Unavailable(self.failure.borrow().clone().unwrap_or_else(|| WRITER_GONE.into()))
    }

    fn rows(&self) -> Result<Rows, StoreError> {
        Rows::open(&self.db.begin_read().map_err(storage_error)?, self.clock.now())
    }
}

const WRITER_GONE: &str = "the writer has ended";

/// What the engine answers while it opens a file. At some of what it finds in a damaged one it panics.
fn unharmed<T>(opening: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(opening))
        .unwrap_or_else(|_| Err(OpenError::Unreadable("the engine cannot make sense of it".into())))
}

#[async_trait]
impl Backend for EmbeddedStore {
    // Reads take microseconds, less than handing them to another thread would.
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        let rows = self.rows()?;
        keys.iter().map(|key| rows.get(key)).collect()
    }

    async fn scan(&self, prefix: &Key, page: Page) -> Result<Vec<Entry>, StoreError> {
        self.rows()?.scan(prefix, &page)
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(|| self.unavailable())?;
        queue.send(Job { batch, answer }).map_err(|_| self.unavailable())?;
        answered.await.unwrap_or_else(|_| Err(self.unavailable()))
    }

    fn watch(&self) -> Watch {
        Watch::in_process(self.feed.subscribe(), Arc::clone(&self.clock))
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        // The writer ends when nobody can give it work any more and what waits is done.
        self.queue = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}

/// Opens or makes a file that only its owner may read, and makes sure that its name survives a power cut.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod tests;
