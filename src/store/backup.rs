//! Backups of the store in one file, and their way back.
//!
//! A backup is a file like the one it was taken of, as of one moment, with a mark in it ([`records::backup`]) that makes its
//! first opening end what may have ended since. Whether it is put back by [`restore`] or by hand makes no difference.
//!
//! A backup does not hold the key ring. Without the ring it is of no use, and with it, it is everything: keep both safe, and
//! not in one place.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    Backend, Batch, Partition, StoreError,
    copy::{self, Copied, CopyError, Step},
    embedded::{EmbeddedStore, OpenError},
    records::{self, Backup, Store},
    walk,
};
use crate::clock::Clock;

/// Why there is no backup, or why it was not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file is there already.
    #[error("{0}: this file is there already, and backups are never written over; choose another name")]
    Exists(PathBuf),
    /// There is no such backup.
    #[error("{0}: there is no such file")]
    Missing(PathBuf),
    /// A store would be replaced.
    #[error("{0}: there is a store already")]
    Occupied(PathBuf),
    /// Somebody has the file open.
    #[error("{0}: the file is in use by another process; stop it first")]
    InUse(PathBuf),
    /// The backup cannot be opened, or is damaged.
    #[error("{0}: {1}")]
    Unusable(PathBuf, OpenError),
    /// It belongs to another key ring.
    #[error("{0}: the key ring here is not the one that seals this backup; put the right one in its place first")]
    Ring(PathBuf),
    /// It was not copied whole.
    #[error("{0}: {1}")]
    Copy(PathBuf, CopyError),
    /// It cannot be read.
    #[error("{0}: {1}")]
    Store(PathBuf, StoreError),
    /// The operating system refused.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

/// Writes what `snapshot` holds into a new file at `path`, which only its owner may read. Until it is whole, on disk and was
/// opened once, it has another name.
///
/// # Errors
/// When there is such a file already, or it cannot be written. Nothing is left at `path` then.
pub async fn back_up(
    snapshot: &dyn Backend,
    path: &Path,
    clock: Arc<dyn Clock>,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<Copied, BackupError> {
    let at = |error| BackupError::Io(path.to_owned(), error);
    if path.try_exists().map_err(at)? {
        return Err(BackupError::Exists(path.to_owned()));
    }
    let guard = Temporary::new(beside(path, "unfinished"))?;
    let temporary = &guard.0;
    let taken = clock.now();
    let copied = {
        let file = open(temporary, &clock)?;
        let copied = copy::copy(snapshot, &file, &*clock, false, progress).await;
        let copied = copied.map_err(|failed| BackupError::Copy(path.to_owned(), failed.error))?;
        mark(&file, Some(taken)).await.map_err(|error| BackupError::Store(path.to_owned(), error))?;
        copied
    };
    look_at(temporary, &clock).await?;
    // Unlike renaming, this does not replace what somebody else put there meanwhile.
    fs::hard_link(temporary, path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(path.to_owned()),
        _ => at(error),
    })?;
    drop(guard);
    sync_folder(path).map_err(at)?;
    Ok(copied)
}

/// What was put back.
#[derive(Debug)]
pub struct Restored {
    /// When the backup was taken, where it says so.
    pub taken: Option<Timestamp>,
    /// How many records it holds.
    pub records: u64,
    /// Where the store is that was there before.
    pub kept: Option<PathBuf>,
}

/// Puts a backup in the place of a store that nobody has open. A store that is there is kept aside, when it may be replaced
/// at all. At every moment there is one whole store at `path`, or none if there was none.
///
/// # Errors
/// When that is not safe, or the backup is not whole. The store is then as it was.
pub async fn restore(
    backup: &Path,
    path: &Path,
    replace: bool,
    ring: Option<&str>,
    clock: Arc<dyn Clock>,
) -> Result<Restored, BackupError> {
    let at = |error| BackupError::Io(path.to_owned(), error);
    // Held to the end, so that nobody opens the store that is about to go.
    let held = match File::open(path) {
        Ok(file) => {
            lock(&file, path)?;
            if !replace {
                return Err(BackupError::Occupied(path.to_owned()));
            }
            Some(file)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(at(error)),
    };
    let guard = Temporary::new(beside(path, "restoring"))?;
    let temporary = &guard.0;
    duplicate(backup, temporary)?;
    EmbeddedStore::verify(temporary).map_err(|error| BackupError::Unusable(backup.to_owned(), error))?;
    let (taken, records) = {
        let file = open(temporary, &clock).map_err(|error| error.about(backup))?;
        let of_backup = |error| BackupError::Store(backup.to_owned(), error);
        if let Some(since) = copy::unfinished_since(&file).await.map_err(of_backup)? {
            return Err(BackupError::Copy(backup.to_owned(), CopyError::SourceUnfinished(since)));
        }
        let file: Store = Store::new(Arc::new(file));
        let sealed_by = file.get(&records::key_ring()).await.map_err(of_backup)?;
        if ring.is_some_and(|ring| sealed_by.is_some_and(|sealed_by| sealed_by.value != ring)) {
            return Err(BackupError::Ring(backup.to_owned()));
        }
        let known = file.get(&records::backup()).await.map_err(of_backup)?;
        if known.is_none() {
            // A copy of the file itself, made while nobody had it open.
            mark(&**file.backend(), None).await.map_err(of_backup)?;
        }
        let partitions = walk::partitions(&**file.backend()).await.map_err(of_backup)?;
        let records = walk::count(&**file.backend(), &partitions).await.map_err(of_backup)?;
        (known.and_then(|known| known.value.taken), records)
    };
    let kept = held.as_ref().map(|_| beside(path, &format!("replaced-{}", clock.now().strftime("%Y%m%dT%H%M%SZ"))));
    if let Some(kept) = &kept {
        fs::hard_link(path, kept).map_err(|error| BackupError::Io(kept.clone(), error))?;
    }
    fs::rename(temporary, path).map_err(at)?;
    sync_folder(path).map_err(at)?;
    drop(held);
    Ok(Restored { taken, records, kept })
}

impl BackupError {
    /// The same, said of the file that the person named.
    fn about(self, path: &Path) -> Self {
        match self {
            Self::Unusable(_, error) => Self::Unusable(path.to_owned(), error),
            other => other,
        }
    }
}

async fn mark(file: &dyn Backend, taken: Option<Timestamp>) -> Result<(), StoreError> {
    file.commit(Batch::new(Partition::Global).put(&records::backup(), &Backup { taken })).await
}

/// Opens a finished backup as whoever restores it will.
async fn look_at(path: &Path, clock: &Arc<dyn Clock>) -> Result<(), BackupError> {
    let file = open(path, clock)?;
    let marked =
        file.get(&[records::backup().key().clone()]).await.map_err(|error| BackupError::Store(path.to_owned(), error))?;
    let lost = || BackupError::Store(path.to_owned(), StoreError::Corrupt("the backup's mark is missing".into()));
    marked.into_iter().flatten().next().map(|_| ()).ok_or_else(lost)
}

fn open(path: &Path, clock: &Arc<dyn Clock>) -> Result<EmbeddedStore, BackupError> {
    EmbeddedStore::open(path, Arc::clone(clock)).map_err(|error| BackupError::Unusable(path.to_owned(), error))
}

/// Copies a file that nobody has open, byte by byte; only its owner may read the copy.
fn duplicate(from: &Path, to: &Path) -> Result<(), BackupError> {
    let of_source = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => BackupError::Missing(from.to_owned()),
        _ => BackupError::Io(from.to_owned(), error),
    };
    let of_target = |error| BackupError::Io(to.to_owned(), error);
    let mut source = File::open(from).map_err(of_source)?;
    lock(&source, from)?;
    let mut target = private(OpenOptions::new().write(true).truncate(true)).open(to).map_err(of_target)?;
    io::copy(&mut source, &mut target).map_err(of_target)?;
    target.sync_all().map_err(of_target)
}

/// Takes the lock that every open store holds; it goes with the file.
fn lock(file: &File, path: &Path) -> Result<(), BackupError> {
    file.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => BackupError::InUse(path.to_owned()),
        fs::TryLockError::Error(error) => BackupError::Io(path.to_owned(), error),
    })
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// The path with something added to its last part.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

/// Makes sure that a name survives a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// A file under a temporary name, which goes when it is not needed any more, whatever happened.
struct Temporary(PathBuf);

impl Temporary {
    /// An empty file. What an earlier attempt left is removed; what another one is writing is not.
    fn new(path: PathBuf) -> Result<Self, BackupError> {
        let at = |error| BackupError::Io(path.clone(), error);
        match File::open(&path) {
            Ok(left) => {
                lock(&left, &path)?;
                fs::remove_file(&path).map_err(at)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(error)),
        }
        private(OpenOptions::new().write(true).create_new(true)).open(&path).map_err(at)?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It may have got its real name.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests;
