use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use redb::TableHandle as _;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    clock::{Entropy, ManualClock, SystemClock, SystemEntropy},
    domain::TenantId,
    store::{
        Check, Partition, SharedStore, Version, Write,
        contract::{START, contract_tests, full},
        embedded::tables::{META, META_FORMAT, begin},
    },
};

async fn store(clock: Arc<dyn Clock>) -> (SharedStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Arc::new(EmbeddedStore::open(&folder.path().join("store"), clock).unwrap()), folder)
}

contract_tests!(store);

fn key(name: &str) -> Key {
    Key::new(Partition::Tenant(TenantId(Uuid::from_u128(1))), b'k', &[name.as_bytes()])
}

fn put(name: &str, value: &str) -> Batch {
    let write = Write::Put { key: key(name), value: Bytes::copy_from_slice(value.as_bytes()), expires: None };
    Batch::new(key(name).partition()).write(write)
}

async fn entry(store: &dyn Backend, name: &str) -> Option<Entry> {
    store.get(&[key(name)]).await.unwrap().remove(0)
}

fn reopen(path: &Path) -> EmbeddedStore {
    EmbeddedStore::open(path, Arc::new(SystemClock)).unwrap()
}

#[tokio::test]
async fn records_survive_closing_and_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let clock = ManualClock::new(START);
    let deadline = START + Duration::from_secs(60);
    let open = || EmbeddedStore::open(&path, Arc::new(clock.clone())).unwrap();
    let expiring = Write::Put { key: key("b"), value: "two".into(), expires: Some(deadline) };
    let before = {
        let store = open();
        store.commit(put("a", "one").write(expiring)).await.unwrap();
        store.get(&[key("a"), key("b")]).await.unwrap()
    };
    assert_eq!(open().get(&[key("a"), key("b")]).await.unwrap(), before);
    clock.advance(60);
    assert_eq!(entry(&open(), "b").await, None);
    assert!(entry(&open(), "a").await.is_some());
}

#[tokio::test]
async fn versions_go_on_after_closing_and_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut last = Version(0);
    for _ in 0..5 {
        let store = reopen(&path);
        for _ in 0..3 {
            store.commit(put("a", "x")).await.unwrap();
            let version = entry(&store, "a").await.unwrap().version;
            assert!(version > last, "{version:?} was given out before");
            last = version;
        }
        store.commit(Batch::new(key("a").partition()).write(Write::Delete(key("a")))).await.unwrap();
    }
}

#[tokio::test]
async fn versions_go_on_past_a_block() {
    let store = EmbeddedStore::start(redb::backends::InMemoryBackend::new(), Arc::new(SystemClock)).unwrap();
    let commits = (0..5000).map(|number| store.commit(put(&number.to_string(), "x")));
    futures_util::future::try_join_all(commits).await.unwrap();
    let prefix = Key::new(key("").partition(), b'k', &[]);
    let entries = store.scan(&prefix, Page { after: None, limit: 6000 }).await.unwrap();
    let versions: std::collections::BTreeSet<Version> = entries.iter().map(|entry| entry.version).collect();
    assert_eq!(versions.len(), 5000);
}

#[tokio::test]
async fn a_second_opener_is_told_that_the_file_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let open = || EmbeddedStore::open(&path, Arc::new(SystemClock));
    let first = open().unwrap();
    assert!(matches!(open().err(), Some(OpenError::InUse)));
    first.commit(put("a", "x")).await.unwrap();
    drop(first);
    assert!(entry(&open().unwrap(), "a").await.is_some());
}

#[test]
fn a_file_of_another_format_is_refused_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(reopen(&path));
    {
        let db = Database::open(&path).unwrap();
        let transaction = begin(&db).unwrap();
        transaction.open_table(META).unwrap().insert(META_FORMAT, 2).unwrap();
        transaction.commit().unwrap();
    }
    for _ in 0..2 {
        let error = EmbeddedStore::open(&path, Arc::new(SystemClock)).err().unwrap();
        assert!(matches!(error, OpenError::Format { found: 2, known: 1 }), "{error}");
        assert_eq!(error.to_string(), "the data file has format 2, this version of Vestibule reads format 1");
    }
}

#[test]
fn files_of_other_programs_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let refusal = || EmbeddedStore::open(&path, Arc::new(SystemClock)).err().unwrap();
    let zeros_then_text = [vec![0; 4096], b"text".to_vec()].concat();
    for content in [b"text".to_vec(), vec![b'x'; 100_000], zeros_then_text] {
        std::fs::write(&path, &content).unwrap();
        assert!(matches!(refusal(), OpenError::Unreadable(_)), "{}", refusal());
        assert!(std::fs::read(&path).unwrap() == content);
    }

    // A file of the same engine.
    std::fs::remove_file(&path).unwrap();
    let db = Database::create(&path).unwrap();
    let transaction = begin(&db).unwrap();
    transaction.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).unwrap();
    transaction.commit().unwrap();
    drop(db);
    assert!(matches!(refusal(), OpenError::Unreadable(_)), "{}", refusal());
    let db = Database::open(&path).unwrap();
    let tables: Vec<String> = db.begin_read().unwrap().list_tables().unwrap().map(|table| table.name().to_owned()).collect();
    assert_eq!(tables, ["theirs"]);

    let missing = EmbeddedStore::open(&folder.path().join("missing/store"), Arc::new(SystemClock)).err().unwrap();
    assert!(matches!(missing, OpenError::Io(_)), "{missing}");
}

#[tokio::test]
async fn a_file_whose_making_was_cut_short_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(reopen(&path));
    let mut header = std::fs::read(&path).unwrap()[..320].to_vec();
    header[..9].fill(0);
    for content in [vec![], vec![0; 73_728], [header, vec![0; 73_408]].concat()] {
        std::fs::write(&path, content).unwrap();
        let store = reopen(&path);
        store.commit(put("a", "x")).await.unwrap();
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    drop(reopen(&path));
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(reopen(&path));
    assert_eq!(mode(), 0o600);
}

#[tokio::test]
async fn batches_that_wait_together_share_commits_of_the_engine() {
    let (folder, batches) = (tempfile::tempdir().unwrap(), 500);
    let store = reopen(&folder.path().join("store"));
    let commits = (0..batches).map(|number| store.commit(put(&number.to_string(), "x")));
    futures_util::future::try_join_all(commits).await.unwrap();
    assert!(store.engine_commits() < batches / 10, "{} commits for {batches} batches", store.engine_commits());
}

#[tokio::test]
async fn what_writes_nothing_costs_no_commit_of_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let store = reopen(&folder.path().join("store"));
    store.commit(put("a", "x")).await.unwrap();
    let conflict = store.commit(put("a", "y").check(Check::Absent(key("a")))).await;
    assert!(matches!(conflict, Err(StoreError::Conflict)));
    store.commit(Batch::new(Partition::Global)).await.unwrap();
    assert_eq!(store.engine_commits(), 1);
}

#[tokio::test]
async fn a_conflict_leaves_the_others_of_its_group_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = reopen(&folder.path().join("store"));
    // Each pair claims one name; the first of each pair is in the queue first.
    let claim = |number: usize| {
        let name = (number / 2).to_string();
        store.commit(put(&name, &number.to_string()).check(Check::Absent(key(&name))))
    };
    let answers = futures_util::future::join_all((0..200).map(claim)).await;
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_ok(), number % 2 == 0, "{number}: {answer:?}");
    }
    assert_eq!(entry(&store, "42").await.unwrap().value, "84");
}

#[tokio::test]
async fn a_change_is_in_the_feed_before_its_caller_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let store = reopen(&folder.path().join("store"));
    let mut feed = store.feed.subscribe();
    for _ in 0..20 {
        store.commit(put("a", "x")).await.unwrap();
        assert_eq!(feed.try_recv().unwrap(), Change::Keys([key("a")].into()));
    }
}

#[tokio::test]
async fn an_idle_store_removes_what_has_expired() {
    let clock = ManualClock::new(START);
    let store = EmbeddedStore::start(redb::backends::InMemoryBackend::new(), Arc::new(clock.clone())).unwrap();
    let expiring = (0..100).fold(Batch::new(key("").partition()), |batch, number| {
        let expires = Some(START + Duration::from_secs(60));
        batch.write(Write::Put { key: key(&number.to_string()), value: "x".into(), expires })
    });
    store.commit(expiring.write(Write::Put { key: key("stays"), value: "x".into(), expires: None })).await.unwrap();
    clock.advance(60);
    let swept = async {
        while tables::stored_rows(&store.db) != (1, 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), swept).await.expect("the expired records are removed");
    assert!(entry(&store, "stays").await.is_some());
}

#[tokio::test]
async fn dropping_the_store_finishes_what_waits_and_ends_the_feed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = reopen(&path);
    let (mut watch, failed) = (store.watch(), store.failed());
    for number in 0..100 {
        // Asked once, so it is in the queue, and then given up.
        let mut commit = store.commit(put(&number.to_string(), "x"));
        assert!(futures_util::FutureExt::now_or_never(&mut commit).is_none());
    }
    drop(store);
    let mut seen = 0;
    while watch.next().await.is_some() {
        seen += 1;
    }
    assert_eq!(seen, 100);
    assert_eq!(failed.await, WRITER_GONE);
    let store = reopen(&path);
    for number in 0..100 {
        assert!(entry(&store, &number.to_string()).await.is_some());
    }
}

const CHILD_STORE: &str = "VESTIBULE_TEST_CHILD_STORE";
const CHILD_WORKERS: u32 = 4;

/// What the kill test runs in another process: writes until it is killed, and says what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_of_the_kill_test() {
    let Some(path) = std::env::var_os(CHILD_STORE) else { return };
    let store = Arc::new(reopen(Path::new(&path)));
    let worker = |worker: u32| {
        let store = store.clone();
        async move {
            let counter = format!("counter {worker}");
            let mut number: u64 =
                entry(&*store, &counter).await.map_or(0, |entry| str::from_utf8(&entry.value).unwrap().parse().unwrap());
            loop {
                number += 1;
                let value = number.to_string();
                let record = Write::Put { key: key(&format!("{worker} {number}")), value: "x".repeat(300).into(), expires: None };
                store.commit(put(&counter, &value).write(record)).await.unwrap();
                // One write a line: a line is there whole or not at all.
                std::io::stdout().write_all(format!("\nacknowledged {worker} {number}\n").as_bytes()).unwrap();
            }
        }
    };
    futures_util::future::join_all((0..CHILD_WORKERS).map(worker).map(tokio::spawn)).await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut acknowledged = vec![0u64; CHILD_WORKERS as usize];
    let mut answers = 0;
    for _ in 0..if full() { 100 } else { 8 } {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::embedded::tests::child_of_the_kill_test", "--exact", "--nocapture"])
            .env(CHILD_STORE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut random = [0; 1];
        SystemEntropy.fill(&mut random);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for (count, line) in lines.by_ref().enumerate() {
            if let Some((worker, number)) = line.unwrap().strip_prefix("acknowledged ").and_then(|ack| ack.split_once(' ')) {
                acknowledged[worker.parse::<usize>().unwrap()] = number.parse().unwrap();
                answers += 1;
            }
            if count == usize::from(random[0]) {
                child.kill().unwrap(); // SIGKILL on Unix
            }
        }
        assert_eq!(child.wait().unwrap().code(), None, "the child was killed and did not end by itself");

        let store = reopen(&path);
        for (worker, acknowledged) in acknowledged.iter_mut().enumerate() {
            let counter = entry(&store, &format!("counter {worker}")).await;
            let counter: u64 = counter.map_or(0, |entry| str::from_utf8(&entry.value).unwrap().parse().unwrap());
            assert!((*acknowledged..=*acknowledged + 1).contains(&counter), "{acknowledged} acknowledged, {counter} found");
            for number in 1..=counter {
                assert!(entry(&store, &format!("{worker} {number}")).await.is_some(), "half of batch {number}");
            }
            assert!(entry(&store, &format!("{worker} {}", counter + 1)).await.is_none(), "half of batch {}", counter + 1);
            // The next child goes on from what is there, answered or not.
            *acknowledged = counter;
        }
    }
    assert!(answers > 0, "the children were killed before they wrote anything");
}
