//! The connections to one primary: made, verified, withdrawn when they fail, and made again.
//!
//! A link is *up* when a server has answered in time, is a primary, and keeps what it acknowledges. Whoever finds that it
//! does not answer any more withdraws it: from then on nobody waits for it, and one task tries again with growing pauses.
//! That is the circuit breaker: requests fail at once while the server is known to be away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use metrics::counter;
use redis::{AsyncConnectionConfig, Client, Pipeline, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    checks::{self, Verdict},
    feed::{self, Calls},
    layout::{Layout, Shard},
    script::SCRIPTS,
    settings::{Address, RedisSettings},
    trouble::Trouble,
    writer::{self, Job},
};
use crate::clock::Entropy;

/// How long a connection may take, and how long an answer.
pub(super) const DEADLINE: Duration = Duration::from_secs(1);
/// How long making all connections and looking at the server may take.
const CONNECT_WITHIN: Duration = Duration::from_millis(1_500);
/// How long somebody waits for connections that are being made: they mostly come at once, or not for long.
const PATIENCE: Duration = Duration::from_millis(500);
/// Pauses between attempts.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The connections of a link that is up. What waits for replicas, what reads and what follows the feed do not queue behind
/// each other.
#[derive(Clone)]
pub(super) struct Lanes {
    pub(super) reads: MultiplexedConnection,
    pub(super) writes: MultiplexedConnection,
    pub(super) feed: MultiplexedConnection,
    generation: u64,
}

#[derive(Clone)]
enum State {
    /// It broke a moment ago, or is new.
    Connecting,
    Up(Arc<Lanes>),
    Down(Arc<str>),
    /// It is not a primary of ours any more.
    Gone,
}

/// The connections to one primary.
pub(super) struct Link {
    pub(super) address: Address,
    /// One of the shards that it holds.
    shard: AtomicUsize,
    state: watch::Sender<State>,
    withdrawn: Notify,
    generation: AtomicU64,
    writer: mpsc::UnboundedSender<Job>,
    /// Ends the task that looks after it.
    ended: CancellationToken,
}

/// What all that belongs to a store knows of each other.
pub(super) struct Shared {
    pub(super) settings: RedisSettings,
    pub(super) layout: Layout,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Whether the store can be used yet.
    pub(super) readiness: watch::Sender<Readiness>,
    /// Who was heard calling.
    pub(super) calls: Calls,
    /// A server turned out not to be a primary, or to be away.
    pub(super) look_again: Arc<Notify>,
}

/// Whether a store can be used yet; said once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Connecting,
    Ready,
    /// Why a server is refused.
    Refused(String),
}

impl Shared {
    /// Says how it ended, if nobody has.
    pub(super) fn leave_connecting(&self, now: Readiness) {
        self.readiness.send_if_modified(|known| {
            let first = *known == Readiness::Connecting;
            if first {
                *known = now;
            }
            first
        });
    }
}

impl Link {
    pub(super) fn start(address: Address, shard: Shard, shared: Arc<Shared>) -> Arc<Self> {
        let ended = CancellationToken::new();
        let (writer, jobs) = mpsc::unbounded_channel();
        let link = Arc::new(Self {
            address,
            shard: AtomicUsize::new(shard.0),
            state: watch::Sender::new(State::Connecting),
            withdrawn: Notify::new(),
            generation: AtomicU64::new(0),
            writer,
            ended: ended.clone(),
        });
        tokio::spawn(ended.clone().run_until_cancelled_owned(writer::run(Arc::downgrade(&link), Arc::clone(&shared), jobs)));
        tokio::spawn(ended.run_until_cancelled_owned(Arc::clone(&link).keep(shared)));
        link
    }

    /// Makes connections, and makes them again when they are withdrawn.
    async fn keep(self: Arc<Self>, shared: Arc<Shared>) {
        let (mut failures, mut pause) = (0, PAUSE);
        loop {
            let began = Instant::now();
            match timeout(CONNECT_WITHIN, self.connect(&shared)).await.unwrap_or_else(|_| Err(Verdict::away("no answer"))) {
                Ok(lanes) => {
                    (failures, pause) = (0, PAUSE);
                    counter!("vestibule_store_connects_total").increment(1);
                    tracing::info!(address = %self.address, "connected to Redis");
                    let mut reads = lanes.reads.clone();
                    self.state.send_replace(State::Up(Arc::new(lanes)));
                    tokio::select! {
                        () = self.withdrawn.notified() => {}
                        () = listen(&self.address, &shared) => {}
                        // Settings can be changed while a server runs.
                        verdict = checks::watch(&mut reads, &shared) => {
                            tracing::error!(address = %self.address, reason = %verdict, "Redis is not what it was");
                            self.state.send_replace(State::Connecting);
                        }
                    }
                    counter!("vestibule_store_withdrawals_total").increment(1);
                    shared.look_again.notify_one();
                }
                Err(verdict) => {
                    tracing::warn!(address = %self.address, reason = %verdict, "Redis cannot be used");
                    if let Verdict::Refused(reason) = &verdict {
                        shared.leave_connecting(Readiness::Refused(format!("{}: {reason}", self.address)));
                    }
                    failures += 1;
                    // One that breaks as it is made may be bad luck, and nobody has waited long.
                    if failures > 1 || began.elapsed() > PATIENCE {
                        self.state.send_replace(State::Down(verdict.to_string().into()));
                    }
                    shared.look_again.notify_one();
                    // Nodes that lost a server together do not come back together.
                    tokio::time::sleep(pause.mul_f64(between(0.5, 1.0, &*shared.entropy))).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn connect(&self, shared: &Shared) -> Result<Lanes, Verdict> {
        let client = shared.settings.client(&self.address).map_err(|error| Verdict::of(&error))?;
        let lane = |lane| connect(&client, lane, shared);
        let mut reads = lane(Lane::Reads).await?;
        checks::verify(&mut reads, shared).await?;
        let mut load = redis::pipe();
        for script in SCRIPTS {
            load.cmd("SCRIPT").arg("LOAD").arg(script.text()).ignore();
        }
        load.exec_async(&mut reads).await?;
        let mut feed = lane(Lane::Feed).await?;
        self.beat(&mut feed, shared).await?;
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Lanes { reads, writes: lane(Lane::Writes).await?, feed, generation })
    }

    /// Shows that it is still the primary that replicas follow: writes, and counts who has it. Without this a primary that
    /// was cut off would go on answering reads as if nothing had happened since.
    async fn beat(&self, connection: &mut MultiplexedConnection, shared: &Shared) -> Result<(), Verdict> {
        let wanted = shared.settings.acknowledgements;
        if wanted == 0 {
            return Ok(());
        }
        let key = shared.layout.beat(Shard(self.shard.load(Ordering::Relaxed)));
        // Moving a time is a write that a server whose memory is full accepts; what is there can be read then.
        let mut beat = redis::pipe();
        beat.cmd("EXPIRE").arg(&key).arg(BEAT_STAYS).add_command(wait(wanted));
        let (moved, mut have): (bool, i64) = match beat.query_async(connection).await {
            Ok(beat) => beat,
            // That one shard is on its way to another node says nothing of the others.
            Err(error) if error.is_cluster_error() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !moved {
            let mut first = redis::pipe();
            first.cmd("SET").arg(&key).arg("1").arg("EX").arg(BEAT_STAYS).ignore().add_command(wait(wanted));
            (have,) = first.query_async(connection).await?;
        }
        enough(have, wanted).map_err(Verdict::Away)
    }

    /// The same for a link that is up; withdraws it when it falls short.
    pub(super) async fn still_leads(&self, lanes: &Lanes, shared: &Shared) -> bool {
        let beat = self.beat(&mut lanes.feed.clone(), shared).await;
        if let Err(verdict) = &beat {
            tracing::warn!(address = %self.address, reason = %verdict, "Redis cannot be relied on");
            self.withdraw(lanes);
        }
        beat.is_ok()
    }

    /// Takes down that it holds `shard`.
    pub(super) fn holds(&self, shard: Shard) {
        self.shard.store(shard.0, Ordering::Relaxed);
    }

    /// The connections, as soon as they are there; at once the reason when it is known that they are not.
    pub(super) async fn up(&self, deadline: Instant) -> Result<Arc<Lanes>, Trouble> {
        let mut state = self.state.subscribe();
        let deadline = deadline.min(Instant::now() + PATIENCE);
        loop {
            match &*state.borrow_and_update() {
                State::Up(lanes) => return Ok(Arc::clone(lanes)),
                State::Down(reason) => return Err(Trouble::Refused(format!("Redis at {}: {reason}", self.address))),
                State::Gone => return Err(Trouble::Elsewhere("the primary has changed".into())),
                State::Connecting => {}
            }
            let waited = timeout_at(deadline, state.changed()).await;
            if !matches!(waited, Ok(Ok(()))) {
                return Err(Trouble::Refused(format!("Redis at {}: no connection in time", self.address)));
            }
        }
    }

    /// Whether it is up now.
    pub(super) fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(_))
    }

    /// Takes the connections away that somebody found broken, unless they have been replaced meanwhile.
    pub(super) fn withdraw(&self, lanes: &Lanes) {
        let taken = self.state.send_if_modified(|state| {
            let same = matches!(state, State::Up(current) if current.generation == lanes.generation);
            if same {
                *state = State::Connecting;
            }
            same
        });
        if taken {
            self.withdrawn.notify_one();
        }
    }

    /// Ends it for good: another server is the primary now, or nobody needs it any more.
    pub(super) fn end(&self) {
        self.ended.cancel();
        self.state.send_replace(State::Gone);
    }

    /// Hands a commit to the task that sends them.
    pub(super) async fn commit(&self, job: impl FnOnce(oneshot::Sender<Result<bool, Trouble>>) -> Job) -> Result<bool, Trouble> {
        let (answer, answered) = oneshot::channel();
        let gone = || "the primary has changed".to_owned();
        self.writer.send(job(answer)).map_err(|_| Trouble::Elsewhere(gone()))?;
        answered.await.unwrap_or_else(|_| Err(Trouble::Unknown(gone())))
    }

    /// Sends commands and gives an answer for each. Trouble that says that the server cannot be relied on withdraws it.
    pub(super) async fn send(
        &self,
        lanes: &Lanes,
        lane: Lane,
        pipeline: &Pipeline,
    ) -> Result<Vec<Result<Value, Trouble>>, Trouble> {
        let mut connection = match lane {
            Lane::Reads => lanes.reads.clone(),
            Lane::Writes => lanes.writes.clone(),
            Lane::Feed => lanes.feed.clone(),
        };
        let answers = match pipeline.query_async::<Vec<redis::RedisResult<Value>>>(&mut connection).await {
            Ok(answers) => answers,
            Err(error) => {
                let trouble = Trouble::of(&error);
                tracing::warn!(address = %self.address, reason = trouble.reason(), "Redis did not answer");
                self.withdraw(lanes);
                return Err(trouble);
            }
        };
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.map_err(|error| Trouble::of(&error))).collect();
        if answers.iter().any(|answer| matches!(answer, Err(Trouble::NoScript))) {
            // Somebody flushed the scripts: connecting loads them.
            self.withdraw(lanes);
        }
        Ok(answers)
    }
}

/// Hears who calls, for ever.
async fn listen(address: &Address, shared: &Shared) {
    loop {
        if let Ok(client) = shared.settings.client(address) {
            feed::listen(&client, shared).await;
        }
        tokio::time::sleep(DEADLINE).await;
    }
}

/// How long the record of a beat stays, in seconds.
const BEAT_STAYS: u32 = 3600;
/// How long replicas are waited for.
const REPLICAS_WITHIN: Duration = Duration::from_millis(500);

/// Waits until replicas have what was written on this connection before.
pub(super) fn wait(wanted: u32) -> redis::Cmd {
    let mut command = redis::cmd("WAIT");
    command.arg(wanted).arg(REPLICAS_WITHIN.as_millis() as u64);
    command
}

/// Whether what `WAIT` counted will do.
pub(super) fn enough(have: i64, wanted: u32) -> Result<(), String> {
    // Redis also answers when the time is up: only the number says anything.
    if have >= i64::from(wanted) { Ok(()) } else { Err(format!("{have} of {wanted} replicas acknowledge what is written")) }
}

/// Which of a link's connections.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lane {
    Reads,
    Writes,
    Feed,
}

async fn connect(client: &Client, lane: Lane, shared: &Shared) -> Result<MultiplexedConnection, Verdict> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(DEADLINE)).set_response_timeout(Some(DEADLINE));
    let connecting = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        // For who looks at `CLIENT LIST`.
        let name = format!("vestibule:{}:{lane:?}", shared.settings.namespace).to_ascii_lowercase();
        redis::cmd("CLIENT").arg("SETNAME").arg(name).exec_async(&mut connection).await?;
        Ok(connection)
    };
    connecting.await.map_err(|error| Verdict::of(&error))
}

/// A random number.
fn between(low: f64, high: f64, entropy: &dyn Entropy) -> f64 {
    let mut bytes = [0; 2];
    entropy.fill(&mut bytes);
    low + (high - low) * f64::from(u16::from_be_bytes(bytes)) / f64::from(u16::MAX)
}
