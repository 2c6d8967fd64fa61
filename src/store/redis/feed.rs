//! Follows the feeds of all shards and tells subscribers what changed.
//!
//! Each commit appends to the stream of its shard, in the same script. A follower remembers the last entry that it has seen of
//! each, by place *and* version, and reads from there, that entry included: when it is not the first that comes back, something
//! was cut off, or a failover has rewritten history, and everything is [`Change::Lost`]. So nothing depends on a message
//! arriving. Commits also call out which shard they changed, which only makes the next look come at once.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::join_all};
use redis::Value;
use tokio::{
    sync::{Notify, broadcast},
    time::{Instant, timeout},
};

use super::{
    layout::{SHARDS, Shard, read_feed_entry},
    link::{DEADLINE, Lane, Link, Readiness, Shared},
    routes::Routes,
    script::TAIL,
    trouble::Trouble,
};
use crate::{
    clock::{Clock, Entropy},
    store::Change,
};

/// How often all shards are looked at, called or not.
const LOOK: Duration = Duration::from_millis(200);
/// How often a primary has to show that replicas follow it.
const BEAT: Duration = Duration::from_millis(500);
/// Entries a look at one shard brings at most.
const PAGE: usize = 512;

/// Which shards somebody has called about.
#[derive(Default)]
pub(super) struct Calls {
    shards: AtomicU32,
    called: Notify,
}

impl Calls {
    pub(super) fn call(&self, shard: Shard) {
        self.shards.fetch_or(1 << shard.0, Ordering::AcqRel);
        self.called.notify_one();
    }

    fn take(&self) -> u32 {
        self.shards.swap(0, Ordering::AcqRel)
    }
}

/// An entry of a stream.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    id: Vec<u8>,
    version: Vec<u8>,
}

pub(super) struct Follower {
    pub(super) shared: Arc<Shared>,
    pub(super) routes: Weak<Routes>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) changes: broadcast::Sender<Change>,
}

/// What a look at the shards of one link has brought.
type Seen = Vec<(Shard, Result<Vec<(Place, Vec<u8>)>, ()>)>;

impl Follower {
    pub(super) async fn run(self) {
        let mut places: [Option<Place>; SHARDS] = [const { None }; SHARDS];
        let (mut next_full, mut next_beat) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            let Some(routes) = self.routes.upgrade() else { return };
            let full = now >= next_full;
            let called = self.shared.calls.take();
            if full {
                next_full = now + LOOK;
            }
            let beat = full && now >= next_beat;
            if beat {
                next_beat = now + BEAT;
            }
            let at = self.clock.now();
            let links = routes.all();
            drop(routes);
            let wanted = |shard: &Shard| full || called & (1 << shard.0) != 0;
            let looks = links.into_iter().map(|(link, shards)| {
                let shards: Vec<_> = shards.into_iter().filter(wanted).collect();
                self.look(link, shards, &places, beat)
            });
            let looks: Vec<_> = join_all(looks).await;
            let (mut current, mut lost) = (full && !looks.is_empty(), false);
            for (led, seen) in looks {
                current &= led;
                for (shard, seen) in seen {
                    lost |= seen.is_ok() && places[shard.0].is_none();
                    current &= self.report(shard, seen, &mut places[shard.0]);
                }
            }
            if lost {
                tracing::warn!("what happened before is not known; everything is read again");
                let _ = self.changes.send(Change::Lost);
            }
            if current {
                self.shared.leave_connecting(Readiness::Ready);
                // Nobody may be listening.
                let _ = self.changes.send(Change::Current(at));
            }
            let _ = timeout(next_full.saturating_duration_since(Instant::now()), self.shared.calls.called.notified()).await;
        }
    }

    /// Reads on in some shards of one link. Also whether the link still leads.
    async fn look(&self, link: Arc<Link>, shards: Vec<Shard>, places: &[Option<Place>; SHARDS], beat: bool) -> (bool, Seen) {
        let none = |shards: &[Shard]| shards.iter().map(|shard| (*shard, Err(()))).collect();
        if shards.is_empty() {
            return (true, Vec::new());
        }
        let Ok(lanes) = link.up(Instant::now() + DEADLINE).await else { return (false, none(&shards)) };
        if beat && !link.still_leads(&lanes, &self.shared).await {
            return (false, none(&shards));
        }
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        for shard in &shards {
            let feed = self.shared.layout.feed(*shard);
            pipeline.add_command(match &places[shard.0] {
                Some(place) => {
                    let mut read = redis::cmd("XRANGE");
                    read.arg(feed).arg(&place.id).arg("+").arg("COUNT").arg(PAGE);
                    read
                }
                None => tail(&feed, &*self.shared.entropy),
            });
        }
        match link.send(&lanes, Lane::Feed, &pipeline).await {
            Ok(answers) => {
                if answers.iter().any(|answer| matches!(answer, Err(Trouble::Elsewhere(_)))) {
                    self.shared.look_again.notify_one();
                }
                let read = |answer: Result<Value, _>| answer.ok().and_then(entries).ok_or(());
                (true, shards.iter().copied().zip(answers.into_iter().map(read)).collect())
            }
            Err(_) => (false, none(&shards)),
        }
    }

    /// Tells subscribers what was seen of a shard. Whether all of it was.
    fn report(&self, shard: Shard, seen: Result<Vec<(Place, Vec<u8>)>, ()>, place: &mut Option<Place>) -> bool {
        let Ok(entries) = seen else { return false };
        let Some(known) = place.as_ref() else {
            // A place to go on from; what happened before it is not known.
            *place = entries.into_iter().next_back().map(|(place, _)| place);
            return place.is_some();
        };
        let more = entries.len() == PAGE;
        let mut entries = entries.into_iter();
        if entries.next().is_none_or(|(first, _)| first != *known) {
            tracing::info!(shard = shard.0, "the feed does not go on where it was left");
            *place = None;
            self.shared.calls.call(shard);
            return false;
        }
        for (entry, said) in entries {
            *place = Some(entry);
            // Nobody may be listening.
            let _ = self.changes.send(match read_feed_entry(shard, &said) {
                Some(keys) if keys.is_empty() => continue,
                Some(keys) => Change::Keys(keys.into()),
                None => Change::Lost,
            });
        }
        if more {
            self.shared.calls.call(shard);
        }
        !more
    }
}

/// The call for the last entry of a feed.
fn tail(feed: &[u8], entropy: &dyn Entropy) -> redis::Cmd {
    let mut id = [0; 8];
    entropy.fill(&mut id);
    let mut command = TAIL.call();
    command.arg(1).arg(feed).arg(&id[..]);
    command
}

/// Entries of a stream as Redis answers them: `[id, [v, version, k, keys]]` each.
fn entries(answer: Value) -> Option<Vec<(Place, Vec<u8>)>> {
    let entries: Vec<(Vec<u8>, [Vec<u8>; 4])> = redis::from_redis_value(answer).ok()?;
    Some(entries.into_iter().map(|(id, [_, version, _, said])| (Place { id, version }, said)).collect())
}

/// Passes calls on as long as the connection lasts.
pub(super) async fn listen(client: &redis::Client, shared: &Shared) {
    let subscribing = async {
        let mut subscription = client.get_async_pubsub().await?;
        subscription.subscribe(shared.layout.channel()).await?;
        redis::RedisResult::Ok(subscription)
    };
    let subscription = match timeout(DEADLINE, subscribing).await {
        Ok(Ok(subscription)) => subscription,
        Ok(Err(error)) => {
            tracing::warn!(code = error.code(), "the channel of changes cannot be heard; changes come a little later");
            return;
        }
        Err(_) => return,
    };
    let mut messages = subscription.into_on_message();
    while let Some(message) = messages.next().await {
        let shard = std::str::from_utf8(message.get_payload_bytes()).ok().and_then(|number| number.parse().ok());
        if let Some(shard) = shard.filter(|shard| *shard < SHARDS) {
            shared.calls.call(Shard(shard));
        }
    }
}
