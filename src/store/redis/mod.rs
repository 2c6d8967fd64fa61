//! The store in Redis, for any number of nodes: one server, the primary that Sentinels name, or a Cluster.
//!
//! # What is promised, and by what
//!
//! * **One script a commit** (`commit.lua`): it checks, writes, appends to the feed, and is all there or not at all. How
//!   records lie is in `layout.rs`.
//! * **An answer is never guessed.** A commit whose answer was lost is asked for by its version (`settle.lua`), which also
//!   makes sure that it cannot happen any more if it has not. Only then is it sent again. What cannot be found out is
//!   [`StoreError::Unavailable`], never a success.
//! * **Acknowledged means replicated**, where `acknowledgements` are asked for: `WAIT` follows on the same connection, what it
//!   counts is looked at, and a primary that its replicas do not follow is not used at all, not even to read.
//! * **A server is looked at before it is used**, with every connection: its role, version, persistence, eviction, replicas.
//!   See [`Risk`].
//! * **The feed notices a gap** and says [`Change::Lost`]; see `feed.rs`. It says [`Change::Current`] only when every primary
//!   has answered and, where replicas are asked for, has shown that they follow it.
//! * **Nothing waits long**: an operation has one second for each attempt and two and a half in all. While a server is
//!   known to be away, operations fail at once.
//!
//! What remains: replication in Redis is asynchronous, and `WAIT` narrows the window without closing it. A commit that was
//! refused for lack of replicas may be there all the same; and a failover to a replica that did not acknowledge loses what
//! others did. `docs/redis.md` says so to operators.

mod checks;
mod feed;
mod layout;
mod link;
mod routes;
mod script;
mod settings;
mod sweep;
mod trouble;
mod writer;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use metrics::counter;
use redis::Value;
use tokio::{
    sync::{broadcast, watch as state},
    time::{Instant, timeout_at},
};

pub use self::settings::{RedisSettings, Risk};
use self::{
    feed::{Calls, Follower},
    layout::{Layout, Shard},
    link::{Lane, Readiness, Shared},
    routes::Routes,
    trouble::Trouble,
    writer::Job,
};
use super::{Backend, Batch, Change, Entry, FEED_CAPACITY, Key, Page, StoreError, Version, Watch};
use crate::clock::{Clock, Entropy};

/// How long an operation may take with all its attempts.
const BUDGET: Duration = Duration::from_millis(2_500);
/// How long a commit that was given up is kept from happening, in seconds. No connection delivers so late.
const VOID: u32 = 600;

/// Tells the metrics recorder what the figures are.
pub fn describe() {
    use metrics::{Unit, describe_counter};
    describe_counter!("vestibule_store_retries_total", Unit::Count, "Attempts of store operations after the first.");
    describe_counter!("vestibule_store_connects_total", Unit::Count, "Times that a Redis was connected to.");
    describe_counter!(
        "vestibule_store_withdrawals_total",
        Unit::Count,
        "Times that connections to a Redis were given up as broken."
    );
}

/// A store in Redis. Connects by itself, and again whenever it has to.
pub struct RedisStore {
    shared: Arc<Shared>,
    routes: Arc<Routes>,
    clock: Arc<dyn Clock>,
    changes: broadcast::Sender<Change>,
}

impl RedisStore {
    /// A store that begins to connect. Expiry is judged by `clock`; the marks of its writes are drawn from `entropy`, and no
    /// two stores on one Redis may ever draw the same.
    ///
    /// # Panics
    /// Outside a runtime of tokio.
    #[must_use]
    pub fn start(settings: RedisSettings, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let shared = Arc::new(Shared {
            layout: Layout::new(&settings.namespace),
            settings,
            entropy,
            readiness: state::Sender::new(Readiness::Connecting),
            calls: Calls::default(),
            look_again: Arc::default(),
        });
        let routes = Routes::start(Arc::clone(&shared));
        let changes = broadcast::Sender::new(FEED_CAPACITY);
        let follower = Follower {
            shared: Arc::clone(&shared),
            routes: Arc::downgrade(&routes),
            clock: Arc::clone(&clock),
            changes: changes.clone(),
        };
        tokio::spawn(follower.run());
        tokio::spawn(sweep::run(Arc::clone(&shared), Arc::downgrade(&routes), Arc::clone(&clock)));
        Self { shared, routes, clock, changes }
    }

    /// Resolves when servers were found that can be used and the feed has begun.
    ///
    /// # Errors
    /// Why one of them is refused, with the setting to change.
    pub fn ready(&self) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let mut readiness = self.shared.readiness.subscribe();
        async move {
            match readiness.wait_for(|readiness| *readiness != Readiness::Connecting).await.as_deref() {
                Ok(Readiness::Refused(reason)) => Err(reason.clone()),
                Ok(_) => Ok(()),
                Err(_) => Err("the store was closed".into()),
            }
        }
    }

    /// Sends a commit once.
    async fn attempt(&self, batch: &Arc<Batch>, version: Version, deadline: Instant) -> Result<bool, Trouble> {
        let link = self.routes.to(Shard::of(batch.partition()), deadline).await?;
        let now = self.clock.now();
        let commit = link.commit(|answer| Job { batch: Arc::clone(batch), version, now, answer });
        // One that still waits to be sent then does not happen after it was settled.
        timeout_at(deadline, commit).await.unwrap_or_else(|_| Err(Trouble::Unknown("Redis did not answer in time".into())))
    }

    /// Whether a commit that was sent at `began` has happened. It does not happen any more.
    async fn settle(&self, shard: Shard, version: Version, began: Instant, deadline: Instant) -> Result<bool, Trouble> {
        let mut last = Trouble::Unknown("Redis is away".into());
        let layout = &self.shared.layout;
        let wanted = self.shared.settings.acknowledgements;
        while Instant::now() < deadline {
            let mut pipeline = redis::pipe();
            let mut ask = script::SETTLE.call();
            // Ample, since the clock of the server may have been set, or be another server's after a failover.
            let age = u64::try_from((began.elapsed() + Duration::from_secs(VOID.into())).as_millis()).unwrap_or(u64::MAX);
            ask.arg(2).arg(layout.feed(shard)).arg(layout.void(shard, version));
            ask.arg(&version.0.to_be_bytes()[..]).arg(age).arg(VOID);
            pipeline.add_command(ask);
            if wanted > 0 {
                pipeline.add_command(link::wait(wanted));
            }
            match self.send(shard, Lane::Writes, &mut pipeline, deadline).await {
                Ok(answers) => match (answers.first(), answers.get(1)) {
                    (_, Some(Value::Int(have))) if link::enough(*have, wanted).is_err() => {
                        return Err(Trouble::Unknown("too few replicas acknowledge".into()));
                    }
                    (Some(Value::Int(1)), _) => return Ok(true),
                    (Some(Value::Int(0)), _) => return Ok(false),
                    _ => return Err(Trouble::Unknown("Redis did not answer".into())),
                },
                Err(trouble) => last = trouble,
            }
            self.routes.refresh(deadline).await;
        }
        Err(Trouble::Unknown(last.reason()))
    }

    /// Sends commands for one shard, all of which must succeed.
    async fn send(
        &self,
        shard: Shard,
        lane: Lane,
        pipeline: &mut redis::Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Trouble> {
        pipeline.ignore_errors();
        let link = self.routes.to(shard, deadline).await?;
        let lanes = link.up(deadline).await?;
        link.send(&lanes, lane, pipeline).await?.into_iter().collect()
    }

    /// Does what does no harm when it is done twice, until it succeeds, is refused, or time is up.
    async fn read(&self, shard: Shard, mut pipeline: redis::Pipeline, deadline: Instant) -> Result<Vec<Value>, StoreError> {
        loop {
            match self.send(shard, Lane::Reads, &mut pipeline, deadline).await {
                Ok(answers) => return Ok(answers),
                Err(Trouble::Refused(reason)) => return Err(StoreError::Unavailable(reason)),
                Err(trouble) if Instant::now() >= deadline => return Err(StoreError::Unavailable(trouble.reason())),
                Err(Trouble::Elsewhere(_)) => self.routes.refresh(deadline).await,
                Err(_) => {}
            }
            counter!("vestibule_store_retries_total").increment(1);
        }
    }
}

#[async_trait]
impl Backend for RedisStore {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        let (mut found, deadline) = (vec![None; keys.len()], Instant::now() + BUDGET);
        // Callers ask for what is together; a Cluster answers for one slot at a time.
        for shard in Shard::all() {
            let asked: Vec<_> = (0..keys.len()).filter(|at| Shard::of(keys[*at].partition()) == shard).collect();
            if asked.is_empty() {
                continue;
            }
            let mut pipeline = redis::pipe();
            let command = pipeline.cmd("MGET");
            for at in &asked {
                command.arg(self.shared.layout.record(&keys[*at]));
            }
            let answers = self.read(shard, pipeline, deadline).await?;
            let values: Vec<Option<Vec<u8>>> = from_value(answers.into_iter().next())?;
            let now = self.clock.now();
            for (at, value) in asked.into_iter().zip(values) {
                found[at] = value.map(|value| layout::entry(&keys[at], &value, now)).transpose()?.flatten();
            }
        }
        Ok(found)
    }

    async fn scan(&self, prefix: &Key, page: Page) -> Result<Vec<Entry>, StoreError> {
        if page.limit == 0 {
            return Ok(Vec::new());
        }
        let partition = prefix.partition();
        let (from, to) = layout::range(prefix, page.after.as_ref());
        let now = self.clock.now();
        let (seconds, nanos) = layout::instant(now);
        let mut command = script::SCAN.call();
        command.arg(1).arg(self.shared.layout.index(partition)).arg(from).arg(to);
        command.arg(page.limit).arg(seconds).arg(nanos).arg(self.shared.layout.records(partition));
        let mut pipeline = redis::pipe();
        pipeline.add_command(command);
        let answers = self.read(Shard::of(partition), pipeline, Instant::now() + BUDGET).await?;
        let rows: Vec<(Vec<u8>, Vec<u8>)> = from_value(answers.into_iter().next())?;
        let entry = |(key, value): (Vec<u8>, Vec<u8>)| {
            layout::entry(&Key::from_parts(partition, Bytes::from(key)), &value, now).transpose()
        };
        rows.into_iter().filter_map(entry).collect()
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let (deadline, batch) = (Instant::now() + BUDGET, Arc::new(batch));
        let shard = Shard::of(batch.partition());
        if batch.checks().is_empty() && batch.writes().is_empty() {
            return Ok(());
        }
        loop {
            let (version, began) = (random_version(&*self.shared.entropy), Instant::now());
            let trouble = match self.attempt(&batch, version, deadline).await {
                Ok(true) => {
                    self.shared.calls.call(shard);
                    return Ok(());
                }
                Ok(false) => return Err(StoreError::Conflict),
                Err(trouble) => trouble,
            };
            match &trouble {
                Trouble::Refused(_) => return Err(trouble.into()),
                Trouble::Unknown(_) if !batch.writes().is_empty() => {
                    if self.settle(shard, version, began, deadline).await? {
                        self.shared.calls.call(shard);
                        return Ok(());
                    }
                }
                Trouble::Unknown(_) | Trouble::NoScript => {}
                Trouble::Elsewhere(_) => self.routes.refresh(deadline).await,
            }
            if Instant::now() >= deadline {
                // Whatever it was, it is known by now that nothing was written.
                return Err(StoreError::Unavailable(match trouble {
                    Trouble::Unknown(reason) | Trouble::Elsewhere(reason) => reason,
                    other => other.reason(),
                }));
            }
            counter!("vestibule_store_retries_total").increment(1);
        }
    }

    fn watch(&self) -> Watch {
        Watch::new(self.changes.subscribe())
    }
}

fn from_value<T: redis::FromRedisValue>(value: Option<Value>) -> Result<T, StoreError> {
    let unreadable = || StoreError::Unavailable("Redis answered something else than was asked".into());
    redis::from_redis_value(value.ok_or_else(unreadable)?).map_err(|_| unreadable())
}

fn random_version(entropy: &dyn Entropy) -> Version {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    Version(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests;
