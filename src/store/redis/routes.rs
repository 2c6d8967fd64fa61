//! Which server holds which shard, now.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use redis::{AsyncConnectionConfig, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{Mutex, OnceCell, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    layout::Shard,
    link::{Link, Shared},
    settings::{Address, Shape},
    trouble::Trouble,
};

/// How often Sentinels are asked, and a Cluster where something is wrong. A failover is noticed at the latest after this.
const LOOK: Duration = Duration::from_secs(1);
/// How often a Cluster is asked where all is well.
const LOOK_IDLE: Duration = Duration::from_secs(5);
/// Not more often than this, whoever asks for it.
const LOOK_MIN: Duration = Duration::from_millis(100);
/// How long a Sentinel or a node is given to say who the primary is.
const TELL: Duration = Duration::from_millis(500);

/// One link a shard, by its number. Empty until it is known who the primaries are.
type Links = Vec<Arc<Link>>;

/// The way to each shard.
pub(super) struct Routes {
    shared: Arc<Shared>,
    links: ArcSwap<Links>,
    /// Counts the looks that were taken.
    looked: watch::Sender<u64>,
    informants: Mutex<BTreeMap<Address, MultiplexedConnection>>,
    slots: OnceCell<Vec<u16>>,
    /// The newest configuration that a Sentinel has told of.
    epoch: AtomicU64,
}

impl Drop for Routes {
    fn drop(&mut self) {
        self.links.load().iter().for_each(|link| link.end());
    }
}

impl Routes {
    pub(super) fn start(shared: Arc<Shared>) -> Arc<Self> {
        let links = match &shared.settings.shape {
            Shape::Single(address) => {
                let link = Link::start(address.clone(), Shard(0), Arc::clone(&shared));
                Shard::all().map(|_| Arc::clone(&link)).collect()
            }
            Shape::Sentinel { .. } | Shape::Cluster(_) => Vec::new(),
        };
        let alone = !links.is_empty();
        let (links, looked) = (ArcSwap::from_pointee(links), watch::Sender::new(0));
        let routes = Arc::new(Self {
            shared,
            links,
            looked,
            informants: Mutex::default(),
            slots: OnceCell::new(),
            epoch: AtomicU64::new(0),
        });
        if !alone {
            tokio::spawn(Self::keep_looking(Arc::downgrade(&routes), Arc::clone(&routes.shared)));
        }
        routes
    }

    async fn keep_looking(routes: Weak<Self>, shared: Arc<Shared>) {
        loop {
            let Some(this) = routes.upgrade() else { return };
            let links = this.look().await;
            this.looked.send_modify(|looks| *looks += 1);
            let quiet =
                matches!(shared.settings.shape, Shape::Cluster(_)) && !links.is_empty() && links.iter().all(|link| link.is_up());
            drop((this, links));
            sleep(LOOK_MIN).await;
            let _ = timeout(if quiet { LOOK_IDLE } else { LOOK }, shared.look_again.notified()).await;
        }
    }

    /// Asks who the primaries are, and changes over to them. Where nobody says, things stay as they are: an old primary
    /// that is none any more does not get a write acknowledged.
    async fn look(&self) -> Arc<Links> {
        let before = self.links.load_full();
        let found = match &self.shared.settings.shape {
            Shape::Single(_) => None,
            Shape::Sentinel { sentinels, name } => self.ask_sentinels(sentinels, name).await,
            Shape::Cluster(seeds) => self.ask_cluster(seeds, &before).await,
        };
        let Some(found) = found else { return before };
        let mut links: BTreeMap<Address, Arc<Link>> =
            before.iter().map(|link| (link.address.clone(), Arc::clone(link))).collect();
        let mut after = Vec::with_capacity(found.len());
        for (shard, address) in Shard::all().zip(&found) {
            let start = || Link::start(address.clone(), shard, Arc::clone(&self.shared));
            let link = links.entry(address.clone()).or_insert_with(start);
            link.holds(shard);
            after.push(Arc::clone(link));
        }
        links.retain(|address, _| !found.contains(address));
        let after = Arc::new(after);
        self.links.store(Arc::clone(&after));
        for (address, link) in links {
            tracing::info!(%address, "not a primary any more");
            link.end();
        }
        after
    }

    /// The link to `shard`, as soon as it is known.
    pub(super) async fn to(&self, shard: Shard, deadline: Instant) -> Result<Arc<Link>, Trouble> {
        let mut looked = self.looked.subscribe();
        loop {
            if let Some(link) = self.links.load().get(shard.0) {
                return Ok(Arc::clone(link));
            }
            if *looked.borrow_and_update() > 0 || !matches!(timeout_at(deadline, looked.changed()).await, Ok(Ok(()))) {
                return Err(Trouble::Refused("nobody says which Redis is the primary".into()));
            }
        }
    }

    /// Looks again, and returns when that is done, at the latest at `deadline`.
    pub(super) async fn refresh(&self, deadline: Instant) {
        if matches!(self.shared.settings.shape, Shape::Single(_)) {
            sleep(LOOK_MIN).await;
            return;
        }
        let mut looked = self.looked.subscribe();
        looked.mark_unchanged();
        self.shared.look_again.notify_one();
        let _ = timeout_at(deadline, looked.changed()).await;
    }

    /// All links, each once, with the shards that it holds.
    pub(super) fn all(&self) -> Vec<(Arc<Link>, Vec<Shard>)> {
        let mut grouped: Vec<(Arc<Link>, Vec<Shard>)> = Vec::new();
        for (shard, link) in Shard::all().zip(self.links.load().iter()) {
            match grouped.iter_mut().find(|(known, _)| Arc::ptr_eq(known, link)) {
                Some((_, shards)) => shards.push(shard),
                None => grouped.push((Arc::clone(link), vec![shard])),
            }
        }
        grouped
    }

    /// The primary that the Sentinel with the newest configuration names, for every shard.
    async fn ask_sentinels(&self, sentinels: &[Address], name: &str) -> Option<Vec<Address>> {
        let answers = join_all(sentinels.iter().map(|sentinel| async move {
            let mut command = redis::cmd("SENTINEL");
            command.arg("MASTER").arg(name);
            let fields: BTreeMap<String, String> = redis::from_redis_value(self.ask(sentinel, true, &command).await?).ok()?;
            let address = Address { host: fields.get("ip")?.clone(), port: fields.get("port")?.parse().ok()? };
            Some((fields.get("config-epoch")?.parse::<u64>().ok()?, address))
        }))
        .await;
        let Some((epoch, address)) = answers.into_iter().flatten().max_by_key(|(epoch, _)| *epoch) else {
            tracing::warn!(name, "no Sentinel says who the primary of this name is");
            return None;
        };
        // One that was away while the others agreed does not lead back to a primary that is none any more.
        if self.epoch.fetch_max(epoch, Ordering::AcqRel) > epoch {
            tracing::warn!(name, epoch, "the Sentinels that answer have not heard of the last failover");
            return None;
        }
        Some(Shard::all().map(|_| address.clone()).collect())
    }

    /// What the first node that answers says of every shard.
    async fn ask_cluster(&self, seeds: &[Address], known: &Links) -> Option<Vec<Address>> {
        // Those that answer first.
        let up = known.iter().filter(|link| link.is_up()).map(|link| &link.address);
        let mut asked = BTreeSet::new();
        for node in up.chain(seeds).filter(|node| asked.insert(*node)) {
            if let Some(found) = self.ask_node(node).await {
                return Some(found);
            }
        }
        tracing::warn!("no node of the Cluster says who holds what");
        None
    }

    async fn ask_node(&self, node: &Address) -> Option<Vec<Address>> {
        type Range = (u16, u16, Vec<Value>);
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        let ranges: Vec<Vec<Value>> = redis::from_redis_value(self.ask(node, false, &slots).await?).ok()?;
        let ranges: Vec<Range> = ranges
            .into_iter()
            .map(|range| {
                let mut parts = range.into_iter();
                let mut number = || redis::from_redis_value(parts.next()?).ok();
                let (first, last) = (number()?, number()?);
                Some((first, last, redis::from_redis_value(parts.next()?).ok()?))
            })
            .collect::<Option<_>>()?;
        let mut found = Vec::new();
        for slot in self.slots.get_or_try_init(|| self.ask_slots(node)).await.ok()? {
            let (.., primary) = ranges.iter().find(|(first, last, _)| (*first..=*last).contains(slot))?;
            let host: Option<String> = redis::from_redis_value(primary.first()?.clone()).ok();
            // A node that does not know its own name leaves it out.
            let host = host.filter(|host| !host.is_empty()).unwrap_or_else(|| node.host.clone());
            found.push(Address { host, port: redis::from_redis_value(primary.get(1)?.clone()).ok()? });
        }
        Some(found)
    }

    /// The slot of each shard, which is always the same.
    async fn ask_slots(&self, node: &Address) -> Result<Vec<u16>, ()> {
        let mut slots = Vec::new();
        for shard in Shard::all() {
            let mut slot = redis::cmd("CLUSTER");
            slot.arg("KEYSLOT").arg(self.shared.layout.tag(shard));
            slots.push(redis::from_redis_value(self.ask(node, false, &slot).await.ok_or(())?).map_err(|_| ())?);
        }
        Ok(slots)
    }

    /// Asks somebody who knows; connections are kept.
    async fn ask(&self, informant: &Address, sentinel: bool, command: &redis::Cmd) -> Option<Value> {
        let known = self.informants.lock().await.get(informant).cloned();
        let asking = async {
            let said = |error: redis::RedisError| error.code().unwrap_or(error.category()).to_owned();
            let mut connection = match known {
                Some(connection) => connection,
                None => {
                    let settings = &self.shared.settings;
                    let client = if sentinel { settings.sentinel(informant) } else { settings.client(informant) };
                    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(TELL)).set_response_timeout(Some(TELL));
                    let connecting = client.map_err(said)?;
                    let connection = connecting.get_multiplexed_async_connection_with_config(&config).await.map_err(said)?;
                    self.informants.lock().await.insert(informant.clone(), connection.clone());
                    connection
                }
            };
            command.query_async::<Value>(&mut connection).await.map_err(said)
        };
        let answer = timeout(TELL, asking).await.unwrap_or_else(|_| Err("no answer in time".into()));
        let answer = answer.inspect_err(|reason| tracing::warn!(%informant, reason, "does not say who the primary is")).ok();
        if answer.is_none() {
            self.informants.lock().await.remove(informant);
        }
        answer
    }
}
