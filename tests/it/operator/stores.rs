//! `store`: the store as a whole, copied and checked.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use vestibule::{
    clock::SystemClock,
    domain::TenantId,
    store::{
        Backend, Batch, Entry, Key, Partition, Write,
        embedded::EmbeddedStore,
        records::{self, kind},
        walk::Walk,
    },
};

use super::*;
use crate::support::{
    redis::Redis,
    wire::{Mode, Wire},
};

/// A store with something of every sort in it, and nobody who has it open.
fn filled() -> Site {
    let site = Site::new();
    site.apply();
    site
}

fn copy(from: &Path, to: &Path, more: &[&str]) -> Output {
    run(&[&["store", "copy", "--from", text(from), "--to", text(to)], more].concat())
}

impl Site {
    fn store(&self) -> PathBuf {
        self.path("data/vestibule.redb")
    }

    /// Makes the server use another store.
    fn use_store(&self, name: &str) {
        let configuration = self.configuration("").replace("[mail]", &format!("[store]\nurl = \"{name}\"\n\n[mail]"));
        self.write("vestibule.toml", &configuration);
    }
}

#[tokio::test]
async fn a_copy_is_verified_and_serves() {
    let site = filled();
    let copy = |more: &[&str]| copy(&site.store(), &site.path("copy"), more);
    let report: Value = serde_json::from_str(&done(&copy(&["--json"]))).expect("JSON");
    assert_eq!(report["verified"], true);
    assert!(report["records"].as_u64() > Some(10), "{report}");
    assert_eq!(report["partitions"][1]["partition"], TENANT);
    assert_eq!(mode(&site.path("copy")), 0o600);
    let said = failed(&copy(&[]));
    assert!(said.contains("the target is not empty"), "{said}");
    assert!(failed(&copy(&["--start-over"])).contains("the target is not empty"), "it is whole, so it is left alone");

    site.use_store("copy");
    assert_eq!(done(&site.command(&["apply", text(&site.path("tenants.toml"))])), "nothing to change\n");
    let process = site.serve().await;
    site.token().await;
    let said = failed(&run(&["store", "copy", "--from", text(&site.path("copy")), "--to", text(&site.path("third"))]));
    assert!(said.contains("in use by another process"), "{said}");
    drop(process);

    let mut command = vestibule();
    command.args(["store", "copy"]).env("VESTIBULE_STORE_FROM", site.path("copy")).env("VESTIBULE_STORE_TO", site.path("fourth"));
    assert!(done(&command.output().expect("the program runs")).contains("verified"));
}

/// To several nodes and back: nothing is lost on the way, and passwords in URLs are not seen.
#[tokio::test]
async fn a_store_moves_to_redis_and_back() {
    let (site, redis, password) = (filled(), Redis::start(), random());
    redis.config_set("requirepass", &password);
    let url = redis.url().replace("redis://", &format!("redis://:{password}@"));
    let copy = |from: &str, to: &str, more: &[&str]| {
        let mut command = vestibule();
        command.args(["store", "copy"]).args(more).env("VESTIBULE_STORE_FROM", from).env("VESTIBULE_STORE_TO", to);
        let output = command.output().expect("the program runs");
        for said in [&output.stdout, &output.stderr] {
            assert!(!String::from_utf8_lossy(said).contains(&password), "{output:?}");
        }
        output
    };
    let there: Value = serde_json::from_str(&done(&copy(text(&site.store()), &url, &["--json"]))).expect("JSON");
    assert!(failed(&copy(text(&site.store()), &url, &[])).contains("the target is not empty"));
    let back: Value = serde_json::from_str(&done(&copy(&url, text(&site.path("back")), &["--json"]))).expect("JSON");
    assert_eq!(there["partitions"], back["partitions"]);
    done(&run(&["store", "check", &url]));

    site.use_store(&url);
    let process = site.serve().await;
    site.token().await;
    assert_eq!(done(&site.command(&["apply", text(&site.path("tenants.toml"))])), "nothing to change\n");
    done(&site.command(&["store", "check"]));
    let said = failed(&site.command(&["store", "backup", text(&site.path("backup"))]));
    assert!(said.contains("only a store in one file") && !said.contains(&password), "{said}");
    drop(process);

    // Anything that writes meanwhile fails the copy, which takes a while over a slow line.
    let line = Wire::to(redis.address);
    line.set(Mode::Delay(Duration::from_millis(25)));
    let slow = url.replace(&redis.address.to_string(), &line.address.to_string());
    let stop = AtomicBool::new(false);
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                let name = format!("[[tenant.app]]\ndisplay_name = \"App {number}\"\n");
                site.write("tenants.toml", &site.tenants(&name));
                site.apply();
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        let output = copy(&slow, text(&site.path("moving")), &[]);
        // Before anything is judged: the other thread would go on for ever.
        stop.store(true, Ordering::SeqCst);
        output
    });
    let said = failed(&output);
    assert!(said.contains("was changed during the copy"), "{said}");
    // It is named where something was written already, and only there.
    let again: &[&str] = if said.contains("--start-over") { &["--start-over"] } else { &[] };
    done(&copy(&url, text(&site.path("moving")), again));

    redis.kill();
    let said = failed(&copy(&url, text(&site.path("gone")), &[]));
    assert!(said.contains("redis://"), "{said}");
}

#[test]
fn a_copy_from_nowhere_makes_nothing() {
    let site = filled();
    let said = failed(&copy(&site.path("mistyped"), &site.path("copy"), &[]));
    assert!(said.contains("mistyped: there is no store"), "{said}");
    assert!(!site.path("mistyped").exists() && !site.path("copy").exists());
    let said = failed(&run(&["store", "copy", "--from", "gopher://me:hunter2@there", "--to", "x"]));
    assert!(said.contains("--from") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_copy_that_was_cut_off_is_no_store() {
    let site = filled();
    // Many records, so that there is a middle to be cut off in.
    let user = |n: usize| format!("[[tenant.user]]\ndisplay_name = \"Guest {n}\"\nmail = \"guest{n}@fabrikam.example\"\n");
    site.write("tenants.toml", &site.tenants(&(0..3_000).map(user).collect::<String>()));
    site.apply();
    let target = site.path("copy");
    // On a busy machine it may be done before the signal gets there.
    let cut_off = (0..5).any(|_| {
        let _ = std::fs::remove_file(&target);
        let mut command = vestibule();
        command.args(["store", "copy", "--from", text(&site.store()), "--to", text(&target)]);
        let (process, _) = Process::spawn(command);
        let (deadline, empty) = (Instant::now() + SOON, 150 * 4096);
        while std::fs::metadata(&target).map_or(0, |file| file.len()) < empty && process.wait(Duration::ZERO).is_none() {
            assert!(Instant::now() < deadline, "{}", process.log());
        }
        process.signal("INT");
        process.wait(SOON).and_then(|status| status.code()) != Some(0)
    });
    assert!(cut_off, "it is done too soon each time");

    site.use_store("copy");
    for command in [&["serve"][..], &["apply", text(&site.path("tenants.toml"))]] {
        let said = failed(&site.command(command));
        assert!(said.contains("unfinished copy") && said.contains("--start-over"), "{said}");
    }
    assert!(failed(&copy(&site.store(), &target, &[])).contains("--start-over"));
    assert!(done(&copy(&site.store(), &target, &["--start-over"])).contains("verified"));
    assert_eq!(done(&site.command(&["apply", text(&site.path("tenants.toml"))])), "nothing to change\n");
}

/// A record that was changed in the file reads as well as any; the checksums say that it was.
#[test]
fn f_19_a_file_that_was_changed_by_hand_is_not_called_good() {
    let site = filled();
    done(&site.command(&["store", "check"]));
    let mut bytes = std::fs::read(site.store()).expect("the file");
    let name = b"\"display_name\":\"Contoso\"";
    let mut changed = 0;
    for at in 0..bytes.len() - name.len() {
        if &bytes[at..at + name.len()] == name {
            bytes[at + name.len() - 2] = b'a';
            changed += 1;
        }
    }
    assert!(changed > 0, "the tenant is in the file");
    std::fs::write(site.store(), bytes).expect("written");
    let said = failed(&site.command(&["store", "check"]));
    assert!(said.contains("corrupted") || said.contains("checksums"), "{said}");
}

fn tenant() -> TenantId {
    TENANT.parse().expect("a tenant id")
}

/// Opens a store that nobody else has open.
fn open(path: &Path) -> EmbeddedStore {
    EmbeddedStore::open(path, Arc::new(SystemClock)).expect("a store")
}

/// The first record of a kind in the tenant.
async fn first(store: &EmbeddedStore, kind: u8) -> Entry {
    let prefix = Key::new(Partition::Tenant(tenant()), kind, &[]);
    Walk::under(store, prefix).next().await.expect("read").expect("there is one")
}

#[tokio::test]
async fn a_good_store_is_good_by_whatever_way() {
    let site = filled();
    let by_path = |more: &[&str]| run(&[&["store", "check", text(&site.store())], more].concat());
    let offline = done(&site.command(&["store", "check"]));
    assert!(offline.contains("audit entry") && offline.contains("in all") && !offline.contains("note"), "{offline}");
    let without_ring = done(&by_path(&[]));
    assert!(without_ring.starts_with(&offline) && without_ring.contains("what is sealed was not opened"), "{without_ring}");
    let process = site.serve().await;
    assert_eq!(done(&site.command(&["store", "check"])), offline, "the running server says the same");
    assert!(failed(&by_path(&[])).contains("in use by another process"));
    drop(process);
    let report: Value = serde_json::from_str(&done(&by_path(&["--json"]))).expect("JSON");
    assert_eq!((&report["problems"], &report["one_moment"]), (&Value::Array(Vec::new()), &Value::Bool(true)));

    let said = failed(&run(&["store", "check", text(&site.path("mistyped"))]));
    assert!(said.contains("there is no store") && !site.path("mistyped").exists(), "{said}");
    std::fs::write(site.path("text"), vec![b'x'; 100_000]).expect("a file");
    assert!(failed(&run(&["store", "check", text(&site.path("text"))])).contains("not a data file of Vestibule"));
}

#[tokio::test]
async fn f_19_planted_faults_are_found_with_the_server_and_without() {
    let site = filled();
    {
        let store = open(&site.store());
        let user = first(&store, kind::USER).await.key;
        let chunk = first(&store, kind::DOCUMENT_CHUNK).await;
        let address = first(&store, kind::ADDRESS_INDEX).await.key;
        let event = records::audit_event(tenant(), 1);
        let claim = records::domain_claim(&"contoso.example".parse().expect("a domain"));
        let mut spoilt = chunk.value.to_vec();
        spoilt[3] ^= 1;
        let put = |key: Key, value: Vec<u8>| Write::Put { key, value: value.into(), expires: None };
        let signing = first(&store, kind::SIGNING_KEY).await;
        let sealed = String::from_utf8(signing.value.to_vec()).expect("JSON").replacen("\"sealed\":\"", "\"sealed\":\"AAAA", 1);
        for write in [
            put(user, b"{\"display_name\":\"hunter2\"".to_vec()),
            put(chunk.key, spoilt),
            Write::Delete(address),
            Write::Delete(event.key().clone()),
            Write::Delete(claim.key().clone()),
            put(signing.key, sealed.into_bytes()),
        ] {
            store.commit(Batch::new(write.key().partition()).write(write)).await.expect("planted");
        }
    }
    let wanted = [
        "it is damaged",
        "its content is not what its name, the SHA-256, stands for",
        "its user is not there",
        "the audit log was changed",
        "has it and has not claimed it",
        "signing key",
    ];
    let offline = site.command(&["store", "check"]);
    let process = site.serve().await;
    let online = site.command(&["store", "check"]);
    drop(process);
    for output in [offline, online] {
        assert!(failed(&output).contains("problems were found"), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        for problem in wanted {
            assert!(said.lines().any(|line| line.starts_with("problem: ") && line.contains(problem)), "{problem}: {said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
    }
}
