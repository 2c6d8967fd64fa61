//! Removes what has expired long ago. Reads judge expiry by themselves; this only frees memory, so every node may do it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    layout::{Shard, instant, scoped},
    link::{DEADLINE, Lane, Shared},
    routes::Routes,
    script::SWEEP,
};
use crate::clock::Clock;

/// How often.
const PAUSE: Duration = Duration::from_secs(5);
/// How soon it goes on when there was much.
const PAUSE_BUSY: Duration = Duration::from_millis(50);
/// What has expired less than this ago stays, in seconds: another node's clock may be behind.
const GRACE: i64 = 300;
/// How many records of a shard are removed at once.
const STEP: usize = 200;

pub(super) async fn run(shared: Arc<Shared>, routes: Weak<Routes>, clock: Arc<dyn Clock>) {
    loop {
        let mut busy = false;
        for shard in Shard::all() {
            let Some(routes) = routes.upgrade() else { return };
            busy |= sweep(&shared, &routes, shard, instant(clock.now()).0 - GRACE).await == Some(STEP);
        }
        sleep(if busy { PAUSE_BUSY } else { PAUSE }).await;
        if routes.strong_count() == 0 {
            return;
        }
    }
}

/// One step in one shard: how many records were removed, if the server was there.
pub(super) async fn sweep(shared: &Shared, routes: &Routes, shard: Shard, past: i64) -> Option<usize> {
    let layout = &shared.layout;
    let deadline = Instant::now() + DEADLINE;
    let link = routes.to(shard, deadline).await.ok()?;
    let lanes = link.up(deadline).await.ok()?;
    let one = async |command: redis::Cmd| {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors().add_command(command);
        link.send(&lanes, Lane::Feed, &pipeline).await.ok()?.pop()?.ok()
    };
    let mut due = redis::cmd("ZRANGE");
    due.arg(layout.deadlines(shard)).arg("-inf").arg(format!("({past}")).arg("BYSCORE").arg("LIMIT").arg(0).arg(STEP);
    let names: Vec<Vec<u8>> = redis::from_redis_value(one(due).await?).ok()?;
    let records: Vec<_> = names.iter().filter_map(|name| Some((name, scoped(shard, name)?))).collect();
    if records.is_empty() {
        return Some(0);
    }
    let mut command = SWEEP.call();
    command.arg(1 + 2 * records.len()).arg(layout.deadlines(shard));
    for (_, key) in &records {
        command.arg(layout.record(key)).arg(layout.index(key.partition()));
    }
    command.arg(past).arg(GRACE);
    for (name, key) in &records {
        command.arg(&name[..]).arg(&key.bytes()[..]);
    }
    redis::from_redis_value(one(command).await?).ok()
}
