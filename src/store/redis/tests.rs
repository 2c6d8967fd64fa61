//! The contract on every shape of Redis, and what only Redis can get wrong.
//!
//! The servers are started by `tests/servers`; each test has a namespace of its own.

use std::sync::Arc;

use super::*;
use crate::{
    clock::{SystemClock, SystemEntropy, random_uuid},
    store::{SharedStore, contract},
};

/// The URL in `variable`, with a namespace that nothing was ever written under.
#[expect(clippy::disallowed_methods, reason = "where the servers are differs from run to run")]
fn settings(variable: &str) -> RedisSettings {
    let url = std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: `tests/run` does, or `tests/servers start DIR`"));
    let namespace = random_uuid(&SystemEntropy).simple();
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}namespace={namespace}").parse().unwrap_or_else(|problem| panic!("{variable}: {problem}"))
}

async fn open(variable: &str, clock: Arc<dyn Clock>) -> (SharedStore, ()) {
    let store = RedisStore::start(settings(variable), clock, Arc::new(SystemEntropy));
    store.ready().await.unwrap_or_else(|reason| panic!("{variable}: {reason}"));
    (Arc::new(store), ())
}

mod single {
    use super::*;

    async fn store(clock: Arc<dyn Clock>) -> (SharedStore, ()) {
        open("VESTIBULE_TEST_REDIS", clock).await
    }

    contract::contract_tests!(store);
}

mod tls {
    use super::*;

    async fn store(clock: Arc<dyn Clock>) -> (SharedStore, ()) {
        open("VESTIBULE_TEST_REDIS_TLS", clock).await
    }

    contract::contract_tests!(store);
}

mod sentinel {
    use super::*;

    async fn store(clock: Arc<dyn Clock>) -> (SharedStore, ()) {
        open("VESTIBULE_TEST_SENTINEL", clock).await
    }

    contract::contract_tests!(store);
}

mod cluster {
    use super::*;

    async fn store(clock: Arc<dyn Clock>) -> (SharedStore, ()) {
        open("VESTIBULE_TEST_CLUSTER", clock).await
    }

    contract::contract_tests!(store);
}

/// A connection of the test's own to the single server.
async fn bystander() -> redis::aio::MultiplexedConnection {
    let settings = settings("VESTIBULE_TEST_REDIS");
    let settings::Shape::Single(address) = &settings.shape else { panic!("one server") };
    settings.client(address).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// Two nodes on one store.
async fn two() -> (RedisStore, RedisStore) {
    let settings = settings("VESTIBULE_TEST_REDIS");
    let clock: Arc<dyn Clock> = Arc::new(crate::clock::ManualClock::new(contract::START));
    let stores =
        [settings.clone(), settings].map(|settings| RedisStore::start(settings, Arc::clone(&clock), Arc::new(SystemEntropy)));
    for store in &stores {
        store.ready().await.unwrap();
    }
    stores.into()
}

fn key(name: &str) -> Key {
    Key::new(super::super::Partition::Tenant(crate::domain::TenantId(uuid::Uuid::from_u128(1))), b'k', &[name.as_bytes()])
}

fn put(name: &str, value: &str) -> Batch {
    let (key, value) = (key(name), Bytes::copy_from_slice(value.as_bytes()));
    Batch::new(key.partition()).write(super::super::Write::Put { key, value, expires: None })
}

/// The next change that is no pulse.
async fn next(watch: &mut Watch) -> Change {
    let next = async {
        loop {
            match watch.next().await.unwrap() {
                Change::Current(_) => {}
                change => return change,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), next).await.expect("a change")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_34_another_node_hears_of_a_commit() {
    let (here, there) = two().await;
    let mut watch = there.watch();
    for name in ["a", "b"] {
        here.commit(put(name, "x")).await.unwrap();
        assert_eq!(next(&mut watch).await, Change::Keys([key(name)].into()));
        assert!(there.get(&[key(name)]).await.unwrap()[0].is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_was_cut_or_rewritten_is_noticed() {
    let (here, there) = two().await;
    let mut server = bystander().await;
    let feed = here.shared.layout.feed(Shard::of(key("").partition()));
    for how in ["cut", "gone", "another"] {
        let mut watch = there.watch();
        here.commit(put("a", "x")).await.unwrap();
        assert_eq!(next(&mut watch).await, Change::Keys([key("a")].into()));
        let last: Vec<(String, Vec<Vec<u8>>)> =
            redis::cmd("XREVRANGE").arg(&feed).arg("+").arg("-").arg("COUNT").arg(1).query_async(&mut server).await.unwrap();
        match how {
            "cut" => redis::cmd("XTRIM").arg(&feed).arg("MAXLEN").arg(0).exec_async(&mut server).await.unwrap(),
            _ => redis::cmd("DEL").arg(&feed).exec_async(&mut server).await.unwrap(),
        }
        if how == "another" {
            // A failover that forgot the last commit, and another one in its place at the same moment.
            let mut add = redis::cmd("XADD");
            add.arg(&feed).arg(&last[0].0).arg("v").arg("another!").arg("k").arg("");
            add.exec_async(&mut server).await.unwrap();
        }
        here.commit(put("b", "x")).await.unwrap();
        assert_eq!(next(&mut watch).await, Change::Lost, "{how}");
        here.commit(put("c", "x")).await.unwrap();
        loop {
            match next(&mut watch).await {
                Change::Keys(keys) if *keys == [key("c")] => break,
                Change::Keys(_) | Change::Lost => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_10_a_commit_whose_answer_was_lost_is_found_or_never_happens() {
    let (store, _) = two().await;
    let shard = Shard::of(key("").partition());
    let deadline = || Instant::now() + BUDGET;
    let (happened, never) = (random_version(&SystemEntropy), random_version(&SystemEntropy));
    let batch = Arc::new(put("a", "first"));
    assert!(store.attempt(&batch, happened, deadline()).await.unwrap());
    assert!(store.settle(shard, happened, Instant::now(), deadline()).await.unwrap());
    assert!(!store.settle(shard, never, Instant::now(), deadline()).await.unwrap());
    // What arrives after it was given up does nothing.
    let late = Arc::new(put("a", "late"));
    assert!(matches!(store.attempt(&late, never, deadline()).await, Err(Trouble::Elsewhere(_))));
    assert_eq!(store.get(&[key("a")]).await.unwrap()[0].as_ref().unwrap().value, "first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_that_the_documentation_names_will_do() {
    let documented = include_str!("../../../docs/redis.md");
    let rule = documented.split('`').find_map(|code| code.strip_prefix("ACL SETUSER vestibule on >PASSWORD ")).unwrap();
    let (user, full) = (random_uuid(&SystemEntropy).simple().to_string(), settings("VESTIBULE_TEST_REDIS"));
    let mut server = bystander().await;
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER").arg(&user).arg("on").arg(">secret");
    for right in rule.replace("vb:", &format!("{}:", full.namespace)).split(' ') {
        acl.arg(right);
    }
    acl.exec_async(&mut server).await.unwrap();
    let url = full.to_string().replace("redis://", &format!("redis://{user}:secret@"));
    let store = RedisStore::start(url.parse().unwrap(), Arc::new(SystemClock), Arc::new(SystemEntropy));
    store.ready().await.unwrap();
    let mut watch = store.watch();
    store.commit(put("a", "x")).await.unwrap();
    assert_eq!(next(&mut watch).await, Change::Keys([key("a")].into()));
    let page = Page { after: None, limit: 10 };
    assert_eq!(store.scan(&Key::new(key("a").partition(), b'k', &[]), page).await.unwrap().len(), 1);
    // Other namespaces are none of its business.
    let (mut other, mut connection) =
        (redis::cmd("GET"), store.routes.all()[0].0.up(Instant::now() + BUDGET).await.unwrap().reads.clone());
    assert_eq!(other.arg("{other:00}r").exec_async(&mut connection).await.unwrap_err().code(), Some("NOPERM"));
    redis::cmd("ACL").arg("DELUSER").arg(&user).exec_async(&mut server).await.unwrap();
}

/// The clock of one node is a day ahead. What is alive for all others stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_17_a_clock_that_is_ahead_removes_nothing_that_is_alive() {
    let (store, _) = two().await;
    let shard = Shard::of(key("").partition());
    let now = SystemClock.now();
    let until = |hours| now + jiff::SignedDuration::from_hours(hours);
    let batch = put("a", "x").write(super::super::Write::Put { key: key("b"), value: "x".into(), expires: Some(until(1)) });
    let past = super::super::Write::Put { key: key("c"), value: "x".into(), expires: Some(until(-1)) };
    store.commit(batch.write(past)).await.unwrap();
    let sweep = async |at| sweep::sweep(&store.shared, &store.routes, shard, layout::instant(at).0).await;
    // What both clocks call long past, unless the store's own sweep came first.
    assert!(sweep(until(24)).await.is_some_and(|removed| removed <= 1));
    let mut server = bystander().await;
    let left: u64 =
        redis::cmd("ZCARD").arg(store.shared.layout.index(key("").partition())).query_async(&mut server).await.unwrap();
    assert_eq!(left, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_were_flushed_are_loaded_again() {
    let (store, _) = two().await;
    let mut server = bystander().await;
    store.commit(put("a", "x")).await.unwrap();
    for _ in 0..3 {
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut server).await.unwrap();
        store.commit(put("b", "x")).await.unwrap();
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut server).await.unwrap();
        let all = Key::new(key("").partition(), b'k', &[]);
        assert_eq!(store.scan(&all, Page { after: None, limit: 10 }).await.unwrap().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_10_connections_that_break_lose_and_double_nothing() {
    let (here, there) = two().await;
    let name = format!("vestibule:{}:", here.shared.settings.namespace);
    let stores = [Arc::new(here), Arc::new(there)];
    let mut server = bystander().await;
    let (workers, each) = (8, if contract::full() { 1000 } else { 40 });
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..workers {
        let store = Arc::clone(&stores[worker % 2]);
        tasks.spawn(async move {
            for _ in 0..each {
                // Every step is decided anew, so each must land exactly once.
                loop {
                    let found = match store.get(&[key("counter")]).await {
                        Ok(mut found) => found.pop().flatten(),
                        Err(error) => panic!("{error}"),
                    };
                    let count =
                        found.as_ref().map_or(0, |entry| std::str::from_utf8(&entry.value).unwrap().parse::<u64>().unwrap());
                    let check = match found {
                        Some(entry) => super::super::Check::Is(entry.key, entry.version),
                        None => super::super::Check::Absent(key("counter")),
                    };
                    match store.commit(put("counter", &(count + 1).to_string()).check(check)).await {
                        Ok(()) => break,
                        Err(StoreError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
    }
    let mut cuts = 0;
    while !tasks.is_empty() {
        tokio::select! {
            Some(done) = tasks.join_next() => done.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(30)) => {
                let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut server).await.unwrap();
                for client in clients.lines().filter(|client| client.contains(&format!("name={name}"))) {
                    let id = client.split(' ').next().unwrap().trim_start_matches("id=");
                    cuts += redis::cmd("CLIENT").arg("KILL").arg("ID").arg(id).query_async::<u64>(&mut server).await.unwrap();
                }
            }
        }
    }
    assert!(cuts > 0, "some connections were cut");
    let counter = stores[0].get(&[key("counter")]).await.unwrap().remove(0).unwrap();
    assert_eq!(counter.value, (workers * each).to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_to_another_node_takes_everything_along() {
    let store = Arc::new(RedisStore::start(settings("VESTIBULE_TEST_CLUSTER"), Arc::new(SystemClock), Arc::new(SystemEntropy)));
    store.ready().await.unwrap();
    let shard = Shard::of(key("").partition());
    let links = store.routes.all();
    let from = links.iter().find(|(_, shards)| shards.contains(&shard)).unwrap().0.address.clone();
    let mut nodes = Vec::new();
    for (link, _) in &links {
        let mut node = store.shared.settings.client(&link.address).unwrap().get_multiplexed_async_connection().await.unwrap();
        let id: String = redis::cmd("CLUSTER").arg("MYID").query_async(&mut node).await.unwrap();
        nodes.push((link.address.clone(), id, node));
    }
    nodes.sort_by_key(|(address, ..)| *address != from);
    let [(_, source, mut at_source), (to, target, mut at_target), (_, _, mut third)] = <[_; 3]>::try_from(nodes).ok().unwrap();
    let tag = store.shared.layout.tag(shard);
    let slot: u16 = redis::cmd("CLUSTER").arg("KEYSLOT").arg(&tag).query_async(&mut third).await.unwrap();
    let set = |what: &str, node: &str| {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SETSLOT").arg(slot).arg(what).arg(node);
        command
    };

    let moved = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let counting = tokio::spawn({
        let (store, moved) = (Arc::clone(&store), Arc::clone(&moved));
        async move {
            let (mut done, mut refused, mut after) = (0u64, 0u64, 0);
            while after < 20 {
                let Ok(mut found) = store.get(&[key("counter")]).await else { continue };
                let found = found.pop().flatten();
                let count = found.as_ref().map_or(0, |entry| std::str::from_utf8(&entry.value).unwrap().parse::<u64>().unwrap());
                let check = match found {
                    Some(entry) => super::super::Check::Is(entry.key, entry.version),
                    None => super::super::Check::Absent(key("counter")),
                };
                match store.commit(put("counter", &(count + 1).to_string()).check(check)).await {
                    Ok(()) => done += 1,
                    Err(_) => refused += 1,
                }
                after += u64::from(moved.load(std::sync::atomic::Ordering::Relaxed));
            }
            (done, refused)
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    set("IMPORTING", &source).exec_async(&mut at_target).await.unwrap();
    set("MIGRATING", &target).exec_async(&mut at_source).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    loop {
        let keys: Vec<Vec<u8>> =
            redis::cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(100).query_async(&mut at_source).await.unwrap();
        if keys.is_empty() {
            break;
        }
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg(&to.host).arg(to.port).arg("").arg(0).arg(5000).arg("KEYS").arg(&keys);
        migrate.exec_async(&mut at_source).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for node in [&mut at_target, &mut at_source, &mut third] {
        set("NODE", &target).exec_async(node).await.unwrap();
    }
    moved.store(true, std::sync::atomic::Ordering::Relaxed);
    let (done, refused) = counting.await.unwrap();
    let count = store.get(&[key("counter")]).await.unwrap().remove(0).unwrap().value;
    let count: u64 = std::str::from_utf8(&count).unwrap().parse().unwrap();
    assert!(done >= 20 && (done..=done + refused).contains(&count), "{done} done, {refused} refused, {count} counted");
    assert_eq!(store.routes.all().iter().find(|(_, shards)| shards.contains(&shard)).unwrap().0.address, to);
}
