//! Sends commits to one primary, those that wait together in one go (group commit), and waits for replicas once for all of
//! them, on the connection that wrote.

use std::sync::{Arc, Weak};

use jiff::Timestamp;
use redis::Value;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    layout::Layout,
    link::{DEADLINE, Lane, Link, Shared, enough, wait},
    script::COMMIT,
    trouble::Trouble,
};
use crate::store::{Batch, Version, Write};

/// A group is closed when it has this many commits, or values of this many bytes.
const GROUP: usize = 128;
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// A commit, and where its answer is awaited.
pub(super) struct Job {
    pub(super) batch: Arc<Batch>,
    pub(super) version: Version,
    pub(super) now: Timestamp,
    pub(super) answer: oneshot::Sender<Result<bool, Trouble>>,
}

/// Works until the link is gone. A job that is dropped without an answer may have been applied.
pub(super) async fn run(link: Weak<Link>, shared: Arc<Shared>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    while let Some(first) = jobs.recv().await {
        if first.answer.is_closed() {
            // Nobody waits for it any more; somebody has settled it.
            continue;
        }
        let mut bytes = first.size();
        let mut group = vec![first];
        while group.len() < GROUP
            && bytes < GROUP_BYTES
            && let Ok(job) = jobs.try_recv()
        {
            bytes += job.size();
            group.push(job);
        }
        let Some(link) = link.upgrade() else { return };
        let answers = send(&link, &shared, &group).await;
        for (job, answer) in group.into_iter().zip(answers) {
            // The caller may have given up.
            let _ = job.answer.send(answer);
        }
    }
}

/// For each commit whether it was applied, or its checks did not hold.
async fn send(link: &Link, shared: &Shared, group: &[Job]) -> Vec<Result<bool, Trouble>> {
    let all = |trouble: Trouble| group.iter().map(|_| Err(trouble.clone())).collect();
    let lanes = match link.up(Instant::now() + DEADLINE).await {
        Ok(lanes) => lanes,
        Err(trouble) => return all(trouble),
    };
    let mut pipeline = redis::pipe();
    pipeline.ignore_errors();
    for job in group {
        pipeline.add_command(job.command(&shared.layout));
    }
    let wanted = shared.settings.acknowledgements;
    if wanted > 0 {
        pipeline.add_command(wait(wanted));
    }
    let mut answers = match link.send(&lanes, Lane::Writes, &pipeline).await {
        Ok(answers) => answers,
        Err(trouble) => return all(trouble),
    };
    let replicated = if wanted == 0 { Ok(()) } else { replicated(answers.pop(), wanted) };
    if let Err(reason) = &replicated {
        // What was written may be lost in a failover, and whoever reads it would build on it.
        tracing::warn!(address = %link.address, reason, "commits are not acknowledged");
        link.withdraw(&lanes);
    }
    let answer = |answer: Result<Value, Trouble>| match answer? {
        Value::Int(1) => replicated.clone().map(|()| true).map_err(Trouble::Refused),
        Value::Int(0) => Ok(false),
        _ => Err(Trouble::Elsewhere("the commit was given up".into())),
    };
    answers.into_iter().map(answer).collect()
}

fn replicated(answer: Option<Result<Value, Trouble>>, wanted: u32) -> Result<(), String> {
    match answer {
        Some(Ok(Value::Int(have))) => enough(have, wanted),
        Some(Err(trouble)) => Err(trouble.reason()),
        _ => Err("replicas were not counted".into()),
    }
}

impl Job {
    fn command(&self, layout: &Layout) -> redis::Cmd {
        let mut command = COMMIT.call();
        layout.commit(&mut command, &self.batch, self.version, self.now);
        command
    }

    fn size(&self) -> usize {
        let value = |write: &Write| if let Write::Put { value, .. } = write { value.len() } else { 0 };
        self.batch.writes().iter().map(value).sum()
    }
}
