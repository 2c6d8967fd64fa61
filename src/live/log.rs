//! The writing side of the feed.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{Line, LiveEvent, LiveState, Position, SnapshotPart, StreamId};
use crate::{
    clock::Entropy,
    domain::{AppId, TenantId},
};

/// Events in a part of a snapshot.
const PART: usize = 256;

/// Numbers the events of every tenant, keeps the latest ones, and hands them to whoever follows. It is also what writes to
/// the [`LiveState`] of this process, so that a snapshot and a number always belong together.
///
/// Its lock is taken to publish and to subscribe, never by a request at a door.
#[derive(Debug)]
pub struct FeedLog {
    live: Arc<LiveState>,
    stream: StreamId,
    capacity: usize,
    tenants: Mutex<HashMap<TenantId, Log>>,
}

type Numbered = (u64, Arc<LiveEvent>);

#[derive(Debug)]
struct Log {
    seq: u64,
    /// The latest events; the last has the number `seq`.
    latest: VecDeque<Arc<LiveEvent>>,
    followers: broadcast::Sender<Numbered>,
}

/// A reader fell too far behind. It has to come back, and gets what it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader of a feed fell behind")]
pub struct TooSlow;

impl FeedLog {
    /// How many events of a tenant are kept for those who come back, unless said otherwise.
    pub const CAPACITY: usize = 1024;

    /// A log that keeps `capacity` events of each tenant (at least one).
    #[must_use]
    pub fn new(live: Arc<LiveState>, capacity: usize, entropy: &dyn Entropy) -> Self {
        Self { live, stream: StreamId::random(entropy), capacity: capacity.max(1), tenants: Mutex::default() }
    }

    /// What the log writes to.
    #[must_use]
    pub fn live(&self) -> &Arc<LiveState> {
        &self.live
    }

    /// Makes an event known, here and to all who follow the tenant's feed.
    pub fn publish(&self, tenant: TenantId, event: LiveEvent) {
        let mut tenants = self.lock();
        let log = tenants.entry(tenant).or_insert_with(|| Log::new(self.capacity));
        self.live.apply(tenant, &event);
        let event = Arc::new(event);
        log.seq += 1;
        log.latest.push_back(Arc::clone(&event));
        if log.latest.len() > self.capacity {
            log.latest.pop_front();
        }
        // Nobody following is no error.
        let _ = log.followers.send((log.seq, event));
    }

    /// Follows a tenant's feed for the door of `app`, from `after` on where that is still possible.
    #[must_use]
    pub fn subscribe(&self, tenant: TenantId, app: AppId, after: Option<Position>) -> Subscription {
        let mut tenants = self.lock();
        let log = tenants.entry(tenant).or_insert_with(|| Log::new(self.capacity));
        let at = Position { stream: self.stream, seq: log.seq };
        let missed = after.filter(|after| after.stream == self.stream).and_then(|after| {
            let missed = usize::try_from(log.seq.checked_sub(after.seq)?).ok()?;
            log.latest.len().checked_sub(missed).map(|skip| (after.seq, log.latest.range(skip..)))
        });
        let backlog: VecDeque<Line> = match missed {
            Some((after, events)) => (after + 1..)
                .zip(events)
                .map(|(seq, event)| Line { seq, stream: self.stream, event: Some(event.for_app(app)), snapshot: None, age: None })
                .collect(),
            None => snapshot(at, &self.live.snapshot(tenant), app).collect(),
        };
        Subscription { app, at, backlog, events: log.followers.subscribe(), live: Arc::clone(&self.live) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Log>> {
        // No code of ours panics while it holds the lock, and a log is consistent between statements.
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn snapshot(at: Position, events: &[LiveEvent], app: AppId) -> impl Iterator<Item = Line> {
    let parts = events.len().div_ceil(PART).max(1);
    (0..parts).map(move |part| {
        let events = events.iter().skip(part * PART).take(PART).map(|event| event.for_app(app)).collect();
        let part = SnapshotPart { first: part == 0, last: part + 1 == parts, events };
        Line { seq: at.seq, stream: at.stream, event: None, snapshot: Some(part), age: None }
    })
}

impl Log {
    fn new(capacity: usize) -> Self {
        Self { seq: 0, latest: VecDeque::new(), followers: broadcast::Sender::new(capacity) }
    }
}

/// One reader's place in a feed.
#[derive(Debug)]
pub struct Subscription {
    app: AppId,
    at: Position,
    /// What brings the reader up to date.
    backlog: VecDeque<Line>,
    events: broadcast::Receiver<Numbered>,
    live: Arc<LiveState>,
}

impl Subscription {
    /// The next line, when there is one. Safe to drop and to call again.
    ///
    /// # Errors
    /// [`TooSlow`] when the reader fell behind by more than the log keeps, or the log is gone.
    pub async fn next(&mut self) -> Result<Line, TooSlow> {
        if let Some(line) = self.backlog.pop_front() {
            return Ok(line);
        }
        let (seq, event) = self.events.recv().await.map_err(|_| TooSlow)?;
        self.at.seq = seq;
        Ok(Line { seq, stream: self.at.stream, event: Some(event.for_app(self.app)), snapshot: None, age: None })
    }

    /// A heartbeat, if there is nothing that the reader has not got and this process itself has fresh news: a server that
    /// was cut off from its store must not keep doors open. It says how old the news are, so that they do not count as new
    /// once more at the reader's.
    #[must_use]
    pub fn heartbeat(&self, now: Timestamp) -> Option<Line> {
        let up_to_date = self.backlog.is_empty() && self.events.is_empty();
        self.live.age(now).filter(|_| up_to_date).map(|age| Line::heartbeat(self.at, age))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{
        clock::SeededEntropy,
        domain::SessionId,
        live::{Broken, Follower, Live},
    };

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));
    const APP: AppId = AppId(Uuid::from_u128(2));

    fn now() -> Timestamp {
        Timestamp::from_second(1_000).unwrap()
    }

    fn log(capacity: usize) -> FeedLog {
        let live = Arc::new(LiveState::new(LiveState::MAX_SILENCE));
        live.heard(now());
        FeedLog::new(live, capacity, &SeededEntropy::new(1))
    }

    fn ended(session: u128) -> LiveEvent {
        LiveEvent::SessionEnded { session: SessionId(Uuid::from_u128(session)), forget: Timestamp::MAX }
    }

    /// Everything that can be read at this moment.
    fn drain(subscription: &mut Subscription) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(Ok(line)) = subscription.next().now_or_never() {
            lines.push(line);
        }
        lines.extend(subscription.heartbeat(now()));
        lines
    }

    fn sessions(live: &LiveState) -> usize {
        live.snapshot(TENANT).iter().filter(|event| matches!(event, LiveEvent::SessionEnded { .. })).count()
    }

    #[test]
    fn a_reader_gets_a_snapshot_then_events_and_resumes() {
        let log = log(8);
        (0..600).for_each(|session| log.publish(TENANT, ended(session)));
        let (mut follower, live) = (Follower::new(TENANT), LiveState::new(LiveState::MAX_SILENCE));
        let mut subscription = log.subscribe(TENANT, APP, None);
        for line in drain(&mut subscription) {
            assert!(!live.fresh(now()), "not before the heartbeat at the end");
            follower.take(&line.to_wire(), &live, now()).unwrap();
        }
        assert!(live.fresh(now()));
        assert_eq!(sessions(&live), 600);

        log.publish(TENANT, ended(600));
        drain(&mut subscription).iter().for_each(|line| assert!(!follower.take(&line.to_wire(), &live, now()).unwrap()));
        assert_eq!(sessions(&live), 601);
        drop(subscription);

        log.publish(TENANT, ended(601));
        let lines = drain(&mut log.subscribe(TENANT, APP, follower.position()));
        assert_eq!(lines.len(), 2, "what was missed, and a heartbeat: {lines:?}");
        lines.iter().for_each(|line| assert!(!follower.take(&line.to_wire(), &live, now()).unwrap()));
        assert_eq!(sessions(&live), 602);

        // More was missed than is kept, or the server is another one: all of it again.
        (0..9).for_each(|session| log.publish(TENANT, ended(700 + session)));
        assert!(drain(&mut log.subscribe(TENANT, APP, follower.position()))[0].snapshot.is_some());
        let position = follower.position().map(|at| Position { stream: StreamId::random(&SeededEntropy::new(2)), ..at });
        assert!(drain(&mut log.subscribe(TENANT, APP, position))[0].snapshot.is_some());
        let future = follower.position().map(|at| Position { seq: at.seq + 100, ..at });
        assert!(drain(&mut log.subscribe(TENANT, APP, future))[0].snapshot.is_some());
    }

    #[test]
    fn a_hole_is_noticed_and_a_server_out_of_touch_keeps_silent() {
        let log = log(8);
        let (mut follower, live) = (Follower::new(TENANT), LiveState::new(LiveState::MAX_SILENCE));
        let mut subscription = log.subscribe(TENANT, APP, None);
        drain(&mut subscription).iter().for_each(|line| assert!(follower.take(&line.to_wire(), &live, now()).is_ok()));
        (0..2).for_each(|session| log.publish(TENANT, ended(session)));
        let lines = drain(&mut subscription);
        assert!(matches!(follower.take(&lines[1].to_wire(), &live, now()), Err(Broken::Gap)), "an event is missing");
        assert!(matches!(follower.take(&lines[2].to_wire(), &live, now()), Err(Broken::Gap)), "the reader is behind");
        assert!(matches!(follower.take(b"{}", &live, now()), Err(Broken::Malformed(_))));
        assert!(subscription.heartbeat(now() + jiff::SignedDuration::from_secs(6)).is_none());
        (0..20).for_each(|session| log.publish(TENANT, ended(session)));
        assert_eq!(subscription.next().now_or_never(), Some(Err(TooSlow)));
    }

    /// A server that lost its store four seconds ago and is heard now: its readers have one second left, not five.
    #[test]
    fn news_are_no_younger_for_having_been_passed_on() {
        let log = log(8);
        let (mut follower, live) = (Follower::new(TENANT), LiveState::new(LiveState::MAX_SILENCE));
        let mut subscription = log.subscribe(TENANT, APP, None);
        drain(&mut subscription).iter().for_each(|line| assert!(follower.take(&line.to_wire(), &live, now()).is_ok()));
        let after = |seconds| now() + jiff::SignedDuration::from_secs(seconds);
        let line = subscription.heartbeat(after(4)).expect("a heartbeat");
        follower.take(&line.to_wire(), &live, after(4)).unwrap();
        assert!(live.fresh(after(5)) && !live.fresh(after(6)));
    }

    #[test]
    fn an_app_learns_nothing_of_other_apps() {
        let log = log(8);
        let other = AppId(Uuid::from_u128(9));
        log.publish(TENANT, LiveEvent::TermsEpoch { everywhere: 1, apps: [(APP, 2), (other, 3)].into() });
        for after in [None, Some(Position { stream: log.stream, seq: 0 })] {
            let wire: Vec<_> = drain(&mut log.subscribe(TENANT, APP, after)).iter().flat_map(Line::to_wire).collect();
            let wire = String::from_utf8(wire).unwrap();
            assert!(wire.contains(&APP.to_string()) && !wire.contains(&other.to_string()), "{wire}");
        }
    }

    proptest! {
        /// Whatever is published, lost and resumed in whatever order: a reader who is fresh knows what the writer knows.
        #[test]
        fn a_fresh_reader_knows_all(steps in prop::collection::vec(0u8..4, 1..60)) {
            let log = log(4);
            let mut subscription = log.subscribe(TENANT, APP, None);
            let (mut follower, mut live) = (Follower::new(TENANT), LiveState::new(LiveState::MAX_SILENCE));
            for (index, step) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => log.publish(TENANT, ended(index as u128)),
                    // Cut off in the middle of what was sent, then back.
                    2 => {
                        if let Some(Ok(line)) = subscription.next().now_or_never() {
                            let _ = follower.take(&line.to_wire(), &live, now());
                        }
                        subscription = log.subscribe(TENANT, APP, follower.position());
                    }
                    _ => {
                        // Forget when news came last, keep the rest.
                        let copy = LiveState::new(LiveState::MAX_SILENCE);
                        copy.replace(TENANT, &live.snapshot(TENANT));
                        live = copy;
                        for line in drain(&mut subscription) {
                            if follower.take(&line.to_wire(), &live, now()).is_err() {
                                subscription = log.subscribe(TENANT, APP, follower.position());
                                break;
                            }
                        }
                        if live.fresh(now()) {
                            prop_assert_eq!(sessions(&live), sessions(log.live()));
                        }
                    }
                }
            }
        }
    }
}
