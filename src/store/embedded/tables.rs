//! What is in the file: the tables, and how rows are laid out in them.

use std::{io, ops::Bound};

use bytes::Bytes;
use jiff::Timestamp;
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableTable, StorageBackend, Table, TableDefinition, WriteTransaction};

use super::OpenError;
use crate::store::{Check, Entry, Key, Page, Partition, StoreError, Version, Write};

/// The layout below. Another one gets another number, and a program that reads both.
pub(super) const FORMAT: u64 = 1;

/// Key to version, deadline in nanoseconds since 1970, and value.
const ROWS: TableDefinition<'_, &[u8], StoredRow> = TableDefinition::new("rows");
/// Every row that expires, by when it does.
const DEADLINES: TableDefinition<'_, (i128, &[u8]), ()> = TableDefinition::new("deadlines");
/// About the file itself.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const META_FORMAT: &str = "format";
/// Versions from here on have never been given out.
const META_UNUSED_VERSION: &str = "unused-version";

/// Versions are set aside in blocks of this many, so that giving one out costs no write of its own. Those left over at the
/// end of a run are never used.
const VERSION_BLOCK: u64 = 4096;

type StoredRow = (u64, Option<i128>, &'static [u8]);

/// A key as it is stored: the partition, then the key's own bytes. Keeps the order of keys.
fn stored_key(key: &Key) -> Vec<u8> {
    let mut stored = match key.partition() {
        Partition::Global => vec![0],
        Partition::Tenant(tenant) => [&[1], tenant.as_bytes().as_slice()].concat(),
    };
    stored.extend_from_slice(key.bytes());
    stored
}

fn is_live(deadline: Option<i128>, now: Timestamp) -> bool {
    deadline.is_none_or(|deadline| now.as_nanosecond() < deadline)
}

/// An error of the engine while reading, as callers know it.
pub(super) fn storage_error(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Corrupted(what) => StoreError::Corrupt(what),
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// Empties a file whose making was cut short: the engine sets its length, writes its header, and only when these are on disk
/// the mark that the header begins with. Without the mark nothing was ever stored, and the engine would refuse the file for
/// good. The caller keeps others from opening the file meanwhile.
pub(super) fn discard_unfinished(backend: &impl StorageBackend) -> io::Result<()> {
    const MARK: usize = 9;
    const HEADER: usize = 512;
    const LARGEST_NEW_FILE: u64 = 2 * 1024 * 1024;

    let length = backend.len()?;
    if length == 0 || length > LARGEST_NEW_FILE {
        return Ok(());
    }
    let mut content = vec![0; usize::try_from(length).unwrap_or_default()];
    backend.read(0, &mut content)?;
    // Another program's file is left alone.
    if content.iter().enumerate().all(|(at, byte)| *byte == 0 || (MARK..HEADER).contains(&at)) {
        backend.set_len(0)?;
    }
    Ok(())
}

/// Makes the tables of a new file, refuses a file of another format, and answers the first version that may be given out.
pub(super) fn prepare(db: &Database) -> Result<u64, OpenError> {
    let transaction = begin(db)?;
    let is_new = transaction.list_tables().map_err(redb::Error::from)?.next().is_none();
    let next_version;
    {
        let mut meta = transaction.open_table(META).map_err(redb::Error::from)?;
        let found = meta.get(META_FORMAT).map_err(redb::Error::from)?.map(|format| format.value());
        match found {
            Some(FORMAT) => {}
            None if is_new => drop(meta.insert(META_FORMAT, FORMAT).map_err(redb::Error::from)?),
            None => return Err(OpenError::Unreadable("it does not name its format".into())),
            Some(found) => return Err(OpenError::Format { found, known: FORMAT }),
        }
        next_version = meta.get(META_UNUSED_VERSION).map_err(redb::Error::from)?.map_or(1, |version| version.value());
        // A reader can only open tables that exist.
        transaction.open_table(ROWS).map_err(redb::Error::from)?;
        transaction.open_table(DEADLINES).map_err(redb::Error::from)?;
    }
    transaction.commit().map_err(redb::Error::from)?;
    Ok(next_version)
}

/// Begins to write. What is committed is on disk, and was there before the commit took effect. With it goes a record of which
/// pages are free, so that the file of a process that was killed opens as fast as any other; without it the engine would read
/// the whole file first.
pub(super) fn begin(db: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = db.begin_write()?;
    transaction.set_durability(redb::Durability::Immediate)?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Sets aside versions from `first` on; answers the first that is not.
pub(super) fn reserve_versions(transaction: &WriteTransaction, first: u64) -> Result<u64, redb::Error> {
    let unused = first + VERSION_BLOCK;
    transaction.open_table(META)?.insert(META_UNUSED_VERSION, unused)?;
    Ok(unused)
}

/// Whether anything has expired that is still stored.
pub(super) fn has_expired(transaction: &ReadTransaction, now: Timestamp) -> Result<bool, redb::Error> {
    let deadlines = transaction.open_table(DEADLINES)?;
    let first = deadlines.first()?;
    Ok(first.is_some_and(|(entry, _)| entry.value().0 <= now.as_nanosecond()))
}

/// The rows as readers see them, at one moment.
pub(super) struct Rows {
    table: ReadOnlyTable<&'static [u8], StoredRow>,
    now: Timestamp,
}

impl Rows {
    pub(super) fn open(transaction: &ReadTransaction, now: Timestamp) -> Result<Self, StoreError> {
        Ok(Self { table: transaction.open_table(ROWS).map_err(storage_error)?, now })
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let row = ReadableTable::get(&self.table, stored_key(key).as_slice()).map_err(storage_error)?;
        row.and_then(|row| self.entry(key.clone(), row.value()).transpose()).transpose()
    }

    pub(super) fn scan(&self, prefix: &Key, page: &Page) -> Result<Vec<Entry>, StoreError> {
        let stored_prefix = stored_key(prefix);
        let partition_length = stored_prefix.len() - prefix.bytes().len();
        let after = page.after.as_ref().filter(|after| *after >= prefix).map(stored_key);
        let start = after.as_deref().map_or(Bound::Included(stored_prefix.as_slice()), Bound::Excluded);
        let mut entries = Vec::new();
        for row in ReadableTable::range::<&[u8]>(&self.table, (start, Bound::Unbounded)).map_err(storage_error)? {
            if entries.len() >= page.limit {
                break;
            }
            let (key, row) = row.map_err(storage_error)?;
            if !key.value().starts_with(&stored_prefix) {
                break;
            }
            let key = Key::from_parts(prefix.partition(), Bytes::copy_from_slice(&key.value()[partition_length..]));
            entries.extend(self.entry(key, row.value())?);
        }
        Ok(entries)
    }

    fn entry(&self, key: Key, (version, deadline, value): (u64, Option<i128>, &[u8])) -> Result<Option<Entry>, StoreError> {
        if !is_live(deadline, self.now) {
            return Ok(None);
        }
        let expires = deadline.map(Timestamp::from_nanosecond).transpose();
        let expires = expires.map_err(|_| StoreError::Corrupt("a deadline is out of range".into()))?;
        Ok(Some(Entry { key, value: Bytes::copy_from_slice(value), version: Version(version), expires }))
    }
}

/// The rows as the writer sees them: with everything the open transaction has changed so far.
pub(super) struct RowsMut<'t> {
    rows: Table<'t, &'static [u8], StoredRow>,
    deadlines: Table<'t, (i128, &'static [u8]), ()>,
    now: Timestamp,
}

impl<'t> RowsMut<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction, now: Timestamp) -> Result<Self, redb::Error> {
        Ok(Self { rows: transaction.open_table(ROWS)?, deadlines: transaction.open_table(DEADLINES)?, now })
    }

    pub(super) fn all_hold(&self, checks: &[Check]) -> Result<bool, redb::Error> {
        for check in checks {
            let (Check::Is(key, _) | Check::Absent(key)) = check;
            let row = self.rows.get(stored_key(key).as_slice())?;
            let found = row.and_then(|row| {
                let (version, deadline, _) = row.value();
                is_live(deadline, self.now).then_some(version)
            });
            let holds = match check {
                Check::Is(_, version) => found == Some(version.0),
                Check::Absent(_) => found.is_none(),
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn apply(&mut self, write: &Write, version: Version) -> Result<(), redb::Error> {
        let key = stored_key(write.key());
        let replaced = match write {
            Write::Put { value, expires, .. } => {
                let deadline = expires.map(Timestamp::as_nanosecond);
                if let Some(deadline) = deadline {
                    self.deadlines.insert((deadline, key.as_slice()), ())?;
                }
                let row = self.rows.insert(key.as_slice(), (version.0, deadline, value.as_ref()))?;
                // The same deadline again stays noted.
                row.and_then(|row| row.value().1).filter(|replaced| Some(*replaced) != deadline)
            }
            Write::Delete(_) => self.rows.remove(key.as_slice())?.and_then(|row| row.value().1),
        };
        if let Some(deadline) = replaced {
            self.deadlines.remove((deadline, key.as_slice()))?;
        }
        Ok(())
    }

    /// Removes rows that have expired, at most `limit`; answers how many there were.
    pub(super) fn sweep(&mut self, limit: usize) -> Result<usize, redb::Error> {
        for swept in 0..limit {
            let Some((first, _)) = self.deadlines.first()? else { return Ok(swept) };
            let (deadline, key) = first.value();
            if is_live(Some(deadline), self.now) {
                return Ok(swept);
            }
            let key = key.to_vec();
            drop(first);
            self.deadlines.remove((deadline, key.as_slice()))?;
            self.rows.remove(key.as_slice())?;
        }
        Ok(limit)
    }
}

/// How many rows and deadlines the file holds, the expired included.
#[cfg(test)]
pub(super) fn stored_rows(db: &Database) -> (u64, u64) {
    use redb::{ReadableDatabase as _, ReadableTableMetadata as _};
    let transaction = db.begin_read().unwrap();
    (transaction.open_table(ROWS).unwrap().len().unwrap(), transaction.open_table(DEADLINES).unwrap().len().unwrap())
}
