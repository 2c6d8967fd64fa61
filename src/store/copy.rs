//! Copying a store into an empty one, whatever the two are: every record with its value and its deadline.
//!
//! While it is being filled the target carries a mark ([`records::unfinished`]), written first and deleted last, so a copy
//! that was cut off is not mistaken for a store. At the end both sides are read again and compared record by record.
//!
//! The source must rest: what is written there meanwhile might be copied or not. The copy listens to its feed and fails when
//! anything was. Versions are not copied; they mean nothing outside the store that gave them out.

use std::{cmp::Ordering, time::Duration};

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    Backend, Batch, Change, Entry, Key, Partition, StoreError, Watch, Write,
    records::{self, Unfinished, take},
    walk::{self, Walk},
};
use crate::clock::Clock;

/// What one commit takes at most, so that it holds up nobody. One record may be larger than this.
const BATCH_RECORDS: usize = 256;
const BATCH_BYTES: usize = 512 * 1024;

/// How long the source's feed may take to say that it is in touch.
const PATIENCE: Duration = Duration::from_secs(15);

/// A copy that failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failed {
    /// Why.
    pub error: CopyError,
    /// Whether the target is known to be marked as unfinished: then it may hold a part of the copy. Otherwise nothing was
    /// written there but the mark itself, if the answer to that was lost.
    pub marked: bool,
}

/// Why a store was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is nothing to copy.
    #[error("the source is empty")]
    SourceEmpty,
    /// The source is the rest of a copy that was cut off.
    #[error("the source is itself an unfinished copy, begun at {0}; copy from the original")]
    SourceUnfinished(Timestamp),
    /// The target holds something.
    #[error("the target is not empty; copy into a new one, nothing there was touched")]
    TargetNotEmpty,
    /// The target holds the rest of a copy that was cut off.
    #[error("the target is an unfinished copy, begun at {0}")]
    TargetUnfinished(Timestamp),
    /// Somebody wrote to the source.
    #[error("the source was changed during the copy, so the copy may not be whole; stop everything that uses the source")]
    Changed,
    /// Whether somebody wrote to the source cannot be known.
    #[error("the source's feed fell silent, so it is not known whether it was changed during the copy")]
    FeedSilent,
    /// What was read back is not what was written.
    #[error("{0}: the target does not hold what the source holds")]
    Differs(String),
    /// The source cannot be read.
    #[error("the source: {0}")]
    Source(StoreError),
    /// The target cannot be read or written.
    #[error("the target: {0}")]
    Target(StoreError),
}

/// How far a copy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many records are to be copied.
    Counted(u64),
    /// One more record is in the target.
    Copied,
    /// One more record was read on both sides.
    Compared,
}

/// What was copied and found the same on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct Copied {
    /// All records.
    pub records: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
    /// The same by partition.
    pub partitions: Vec<CopiedPartition>,
}

/// What was copied of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopiedPartition {
    /// `global`, or the tenant's id.
    pub partition: String,
    /// Records.
    pub records: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
    /// SHA-256 over keys, deadlines and values in key order, hexadecimal; the same on both sides.
    pub sha256: String,
}

/// Copies everything from one store to another, and compares. With `start_over`, a target that an earlier copy left
/// unfinished is emptied first; any other target has to be empty.
///
/// # Errors
/// When the copy is not known to be whole. Unless nothing was written at all, the target then stays marked.
pub async fn copy(
    from: &dyn Backend,
    to: &dyn Backend,
    clock: &dyn Clock,
    start_over: bool,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<Copied, Failed> {
    let mut marked = false;
    let copied = copy_marking(from, to, clock, start_over, progress, &mut marked).await;
    copied.map_err(|error| Failed { error, marked })
}

/// Copies, and notes in `marked` when the target has its mark, which outlasts every error from then on.
async fn copy_marking(
    from: &dyn Backend,
    to: &dyn Backend,
    clock: &dyn Clock,
    start_over: bool,
    progress: &mut (dyn FnMut(Step) + Send),
    marked: &mut bool,
) -> Result<Copied, CopyError> {
    if let Some(since) = unfinished_since(from).await.map_err(CopyError::Source)? {
        return Err(CopyError::SourceUnfinished(since));
    }
    let mut watch = from.watch();
    // What the feed tells of before now will be read.
    caught_up(&mut watch, clock.now(), true).await?;
    let copied = {
        let work = async {
            let partitions = walk::partitions(from).await.map_err(CopyError::Source)?;
            let total = walk::count(from, &partitions).await.map_err(CopyError::Source)?;
            if total == 0 {
                return Err(CopyError::SourceEmpty);
            }
            progress(Step::Counted(total));
            mark(to, clock, start_over, marked).await?;
            for partition in &partitions {
                fill(from, to, *partition, progress).await?;
            }
            let mut copied = Copied { records: 0, bytes: 0, partitions: Vec::new() };
            for partition in partitions {
                let same = compare(from, to, partition, clock, progress).await?;
                copied.records += same.records;
                copied.bytes += same.bytes;
                copied.partitions.push(same);
            }
            Ok(copied)
        };
        tokio::select! {
            biased;
            error = changed(&mut watch) => return Err(error),
            copied = work => copied?,
        }
    };
    caught_up(&mut watch, clock.now(), false).await?;
    let mark = records::unfinished();
    to.commit(Batch::new(Partition::Global).delete(&mark)).await.map_err(CopyError::Target)?;
    Ok(copied)
}

/// Since when a store has been waiting to be whole; `None` when it is.
///
/// # Errors
/// When the store is unavailable.
pub async fn unfinished_since(store: &dyn Backend) -> Result<Option<Timestamp>, StoreError> {
    let found = store.get(&[records::unfinished().key().clone()]).await?;
    Ok(take::<Unfinished>(&mut found.into_iter())?.map(|mark| mark.value.since))
}

/// Puts the mark on an empty target.
async fn mark(to: &dyn Backend, clock: &dyn Clock, start_over: bool, marked: &mut bool) -> Result<(), CopyError> {
    match unfinished_since(to).await.map_err(CopyError::Target)? {
        Some(_) if start_over => {
            *marked = true;
            return empty(to).await.map_err(CopyError::Target);
        }
        Some(since) => return Err(CopyError::TargetUnfinished(since)),
        None => {}
    }
    if !walk::is_empty(to).await.map_err(CopyError::Target)? {
        return Err(CopyError::TargetNotEmpty);
    }
    let key = records::unfinished();
    let batch = Batch::new(Partition::Global).absent(&key).put(&key, &Unfinished { since: clock.now() });
    match to.commit(batch).await {
        Ok(()) => {
            *marked = true;
            Ok(())
        }
        Err(StoreError::Conflict) => Err(CopyError::TargetNotEmpty),
        Err(error) => Err(CopyError::Target(error)),
    }
}

/// Deletes all but the mark. The list of tenants goes last, since it says where the rest is.
async fn empty(store: &dyn Backend) -> Result<(), StoreError> {
    let partitions = walk::partitions(store).await?;
    for partition in partitions.into_iter().rev() {
        walk::delete(store, Key::whole(partition), is_mark).await?;
    }
    Ok(())
}

async fn fill(
    from: &dyn Backend,
    to: &dyn Backend,
    partition: Partition,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<(), CopyError> {
    let mut walk = Walk::of(from, partition);
    let mut complete = false;
    let mut next = None;
    while !complete {
        let (mut batch, mut bytes) = (Batch::new(partition), 0);
        // What did not fit into the last batch begins this one.
        loop {
            let entry: Entry = match next.take() {
                Some(entry) => entry,
                None => match walk.next().await.map_err(CopyError::Source)? {
                    Some(entry) => entry,
                    None => {
                        complete = true;
                        break;
                    }
                },
            };
            bytes += size(&entry);
            let full = batch.writes().len() == BATCH_RECORDS || bytes > BATCH_BYTES;
            if full && !batch.writes().is_empty() {
                next = Some(entry);
                break;
            }
            batch = batch.write(Write::Put { key: entry.key, value: entry.value, expires: entry.expires });
        }
        let records = batch.writes().len();
        to.commit(batch).await.map_err(CopyError::Target)?;
        (0..records).for_each(|_| progress(Step::Copied));
    }
    Ok(())
}

/// Reads a partition on both sides, in step.
async fn compare(
    from: &dyn Backend,
    to: &dyn Backend,
    partition: Partition,
    clock: &dyn Clock,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<CopiedPartition, CopyError> {
    let (mut source, mut target) = (Walk::of(from, partition), Walk::of(to, partition));
    let (mut left, mut right) = (Digest::new(), Digest::new());
    let (mut ours, mut theirs) = (None, None);
    loop {
        if ours.is_none() {
            ours = source.next().await.map_err(CopyError::Source)?;
        }
        if theirs.is_none() {
            theirs = target.next().await.map_err(CopyError::Target)?;
        }
        let order = match (&ours, &theirs) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.key.cmp(&b.key),
        };
        // What one side alone has expired between the two reads, or should not be so.
        let (a, b) = (ours.take_if(|_| order.is_le()), theirs.take_if(|_| order.is_ge()));
        match (a, b) {
            (Some(a), Some(b)) => {
                left.add(&a);
                right.add(&b);
                progress(Step::Compared);
            }
            (Some(alone), None) | (None, Some(alone)) if !is_mark(&alone) && !has_expired(&alone, clock) => {
                return Err(CopyError::Differs(partition.to_string()));
            }
            _ => {}
        }
    }
    let (records, bytes) = (left.records, left.bytes);
    let (left, right) = (left.finish(), right.finish());
    if left == right {
        Ok(CopiedPartition { partition: partition.to_string(), records, bytes, sha256: left })
    } else {
        Err(CopyError::Differs(partition.to_string()))
    }
}

fn has_expired(entry: &Entry, clock: &dyn Clock) -> bool {
    entry.expires.is_some_and(|deadline| deadline <= clock.now())
}

fn is_mark(entry: &Entry) -> bool {
    entry.key == *records::unfinished().key()
}

fn size(entry: &Entry) -> usize {
    entry.key.bytes().len() + entry.value.len()
}

/// Ready when the source is written to, or its feed ends.
async fn changed(watch: &mut Watch) -> CopyError {
    loop {
        match watch.next().await {
            Some(Change::Current(_)) => {}
            Some(Change::Keys(_) | Change::Lost) => return CopyError::Changed,
            None => return CopyError::FeedSilent,
        }
    }
}

/// Waits until the feed has told of everything before `moment`, which must be nothing unless it `may_change`.
async fn caught_up(watch: &mut Watch, moment: Timestamp, may_change: bool) -> Result<(), CopyError> {
    let told = async {
        loop {
            match watch.next().await {
                Some(Change::Current(at)) if at >= moment => return Ok(()),
                Some(Change::Keys(_) | Change::Lost) if !may_change => return Err(CopyError::Changed),
                Some(_) => {}
                None => return Err(CopyError::FeedSilent),
            }
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap_or(Err(CopyError::FeedSilent))
}

/// A hash over records, each with the lengths of its parts, so that nothing can move from one into the next.
struct Digest {
    hash: digest::Context,
    records: u64,
    bytes: u64,
}

impl Digest {
    fn new() -> Self {
        Self { hash: digest::Context::new(&digest::SHA256), records: 0, bytes: 0 }
    }

    fn add(&mut self, entry: &Entry) {
        let deadline = entry.expires.map(Timestamp::as_nanosecond);
        for part in [entry.key.bytes(), &entry.value] {
            self.hash.update(&(part.len() as u64).to_be_bytes());
            self.hash.update(part);
        }
        self.hash.update(&[u8::from(deadline.is_some())]);
        self.hash.update(&deadline.unwrap_or_default().to_be_bytes());
        self.records += 1;
        self.bytes += size(entry) as u64;
    }

    fn finish(self) -> String {
        self.hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests;
