//! The one thread that writes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use redb::{Database, ReadableDatabase};
use tokio::sync::{broadcast, oneshot, watch};

use super::tables::{RowsMut, begin, has_expired, reserve_versions};
use crate::{
    clock::Clock,
    store::{Batch, Change, StoreError, Version, Write},
};

/// A group is closed when it has this many batches, or values of this many bytes: nobody shall wait long for others' writes.
const GROUP_BATCHES: usize = 256;
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// How many expired rows one commit removes on its way.
const SWEEP_STEP: usize = 32;
/// How often an idle store looks for expired rows; and how soon it goes on when there were many.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);
const SWEEP_PAUSE_BUSY: Duration = Duration::from_millis(5);

/// A batch, and where its answer is awaited.
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<(), StoreError>>,
}

pub(super) struct Writer {
    pub(super) db: Arc<Database>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) feed: broadcast::Sender<Change>,
    pub(super) failure: watch::Sender<Option<String>>,
    pub(super) engine_commits: Arc<AtomicU64>,
    pub(super) next_version: u64,
    /// Versions below this one are set aside for this run.
    pub(super) reserved: u64,
}

/// What became of a group.
struct Applied {
    /// For each batch whether its checks held.
    held: Vec<bool>,
    swept: usize,
}

impl Writer {
    /// Works until the store is dropped and nothing waits any more, or the disk refuses.
    pub(super) fn run(mut self) {
        let mut pause = SWEEP_PAUSE;
        loop {
            let group = match self.jobs.recv_timeout(pause) {
                Ok(job) => self.gather(job),
                Err(mpsc::RecvTimeoutError::Timeout) => Vec::new(),
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            };
            match self.apply(&group) {
                Ok(applied) => {
                    pause = if applied.swept == SWEEP_STEP { SWEEP_PAUSE_BUSY } else { SWEEP_PAUSE };
                    self.answer(group, &applied.held);
                }
                Err(error) => return self.fail(group, &error),
            }
        }
    }

    /// The batches that wait already. It does not wait for more: while a commit is under way the next group gathers by itself.
    fn gather(&self, first: Job) -> Vec<Job> {
        let mut bytes = first.size();
        let mut group = vec![first];
        while group.len() < GROUP_BATCHES
            && bytes < GROUP_BYTES
            && let Ok(job) = self.jobs.try_recv()
        {
            bytes += job.size();
            group.push(job);
        }
        group
    }

    /// Checks and applies the batches in order, each seeing what those before it wrote, in one commit of the engine.
    fn apply(&mut self, group: &[Job]) -> Result<Applied, redb::Error> {
        let now = self.clock.now();
        if group.is_empty() && !has_expired(&self.db.begin_read()?, now)? {
            return Ok(Applied { held: Vec::new(), swept: 0 });
        }
        let transaction = begin(&self.db)?;
        let mut held = Vec::with_capacity(group.len());
        let mut changed = false;
        let swept;
        {
            let mut rows = RowsMut::open(&transaction, now)?;
            for Job { batch, .. } in group {
                // A batch is checked before its first write, so one that does not hold leaves nothing to undo.
                let holds = rows.all_hold(batch.checks())?;
                if holds && !batch.writes().is_empty() {
                    changed = true;
                    if self.next_version == self.reserved {
                        self.reserved = reserve_versions(&transaction, self.next_version)?;
                    }
                    let version = Version(self.next_version);
                    self.next_version += 1;
                    for write in batch.writes() {
                        rows.apply(write, version)?;
                    }
                }
                held.push(holds);
            }
            swept = rows.sweep(SWEEP_STEP)?;
        }
        if changed || swept > 0 {
            transaction.commit()?;
            self.engine_commits.fetch_add(1, Ordering::Relaxed);
        } else {
            transaction.abort()?;
        }
        Ok(Applied { held, swept })
    }

    /// Tells subscribers, then the callers: whoever was answered finds the change in the feed.
    fn answer(&self, group: Vec<Job>, held: &[bool]) {
        for (job, held) in group.iter().zip(held) {
            if *held && let Some(change) = Change::of(&job.batch) {
                // Nobody may be listening.
                let _ = self.feed.send(change);
            }
        }
        for (job, held) in group.into_iter().zip(held) {
            // The caller may have given up.
            let _ = job.answer.send(if *held { Ok(()) } else { Err(StoreError::Conflict) });
        }
    }

    /// Nothing may be written after a failed commit: part of it may be on disk. Those who still wait see the queue close.
    fn fail(self, group: Vec<Job>, error: &redb::Error) {
        tracing::error!(%error, "the store cannot write and stops");
        let reason = error.to_string();
        self.failure.send_replace(Some(reason.clone()));
        for job in group {
            let _ = job.answer.send(Err(StoreError::Unavailable(reason.clone())));
        }
    }
}

impl Job {
    fn size(&self) -> usize {
        let value = |write: &Write| if let Write::Put { value, .. } = write { value.len() } else { 0 };
        self.batch.writes().iter().map(value).sum()
    }
}
