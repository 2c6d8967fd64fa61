//! `store backup` and `store restore`: F-31, what ended after a backup was taken does not come back to life with it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::support::{
    apply::put_guest,
    client::Client,
    journey::Guest,
    process::{DataFolder, Demo, SignsInWith, data_folder},
};

/// Runs a command on the store of a demo.
fn store(data: &DataFolder, arguments: &[&str]) -> Output {
    run(&[&["store"], arguments, &["--data", text(data.path())]].concat())
}

fn refresh(token: &str) -> Vec<(&'static str, String)> {
    vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token.to_owned())]
}

#[tokio::test]
async fn f_31_what_ended_since_a_backup_stays_ended_after_a_restore() {
    let (data, address) = (data_folder(), spare_address().to_string());
    let backups = tempfile::tempdir().expect("a temporary folder");
    let backup = backups.path().join("backup");
    let demo = Demo::start_on(&address, data.clone(), &[]);
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request().with("scope", "openid offline_access").with("prompt", "consent");
    let code = client.code(&mut guest, &request).await;
    let tokens = client.exchange(&demo, &code, &request).await;
    let before = tokens.refresh_token.expect("a refresh token");
    let said = done(&store(&data, &["backup", text(&backup)]));
    assert!(said.contains("read again and the same") && said.contains("key ring"), "{said}");

    // Since then: a token was traded, and somebody joined whom the backup does not know.
    let since = client.token(&refresh(&before)).await.expect(200).json();
    let since = since["refresh_token"].as_str().expect("a successor").to_owned();
    client.userinfo(&tokens.access_token).await.expect(200);
    put_guest(&demo, "late@nowhere.example", true);

    let said = failed(&store(&data, &["restore", text(&backup), "--replace"]));
    assert!(said.contains("a server is running") && said.contains("stop it first"), "{said}");
    let browser = guest.browser.clone();
    demo.process().signal("INT");
    assert!(demo.process().wait(SOON).expect("it ends by itself").success());
    drop(demo);
    let said = failed(&store(&data, &["restore", text(&backup)]));
    assert!(said.contains("there is a store already") && said.contains("--replace"), "{said}");
    let said = done(&store(&data, &["restore", text(&backup), "--replace"]));
    assert!(said.contains("is kept as") && said.contains("everybody signs in again") && said.contains("repeat blocks"), "{said}");

    let demo = Demo::start_on(&address, data.clone(), &[]);
    assert!(demo.process().log().contains("this store comes from a backup"), "{}", demo.process().log());
    let client = Client::of(&demo).await;
    for token in [&before, &since] {
        assert_eq!(client.token(&refresh(token)).await.expect(400).json()["error"], "invalid_grant");
    }
    client.userinfo(&tokens.access_token).await.expect(401);
    let person = demo.person(SignsInWith::HomeOrganisation);
    let mut guest = Guest { browser: browser.reconnected(), ..Guest::new(&demo, person.clone()) };
    let panel = guest.arrive(&demo.links.panel_by_id).await.expect(200);
    assert!(panel.page().has("sign-out") && !guest.pressed.is_empty(), "the old cookies open nothing, signing in does");

    // It is a backup no longer: what begins now lasts.
    let browser = guest.browser.clone();
    demo.process().kill();
    drop(demo);
    assert!(done(&store(&data, &["check"])).contains("audit entry"));
    let demo = Demo::start_on(&address, data, &[]);
    assert!(!demo.process().log().contains("comes from a backup"));
    let mut guest = Guest { browser: browser.reconnected(), ..Guest::new(&demo, person) };
    let panel = guest.arrive(&demo.links.panel_by_id).await.expect(200);
    assert!(panel.page().has("sign-out") && guest.pressed.is_empty(), "{:?}", guest.pressed);
}

/// While others write all the time, a backup is one moment: nothing in it refers to what is not in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_whole() {
    let site = Site::new();
    let user = |n: usize| format!("[[tenant.user]]\ndisplay_name = \"Guest {n}\"\nmail = \"guest{n}@fabrikam.example\"\n");
    site.write("tenants.toml", &site.tenants(&(0..500).map(user).collect::<String>()));
    site.apply();
    let process = site.serve().await;
    let (stop, applied, site) = (AtomicBool::new(false), AtomicUsize::new(0), &site);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let first = (applied.load(Ordering::SeqCst) + 1) * 20;
                site.write("tenants.toml", &site.tenants(&(first..first + 500).map(user).collect::<String>()));
                site.apply();
                applied.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut counts = Vec::new();
        for number in 0..5 {
            let deadline = Instant::now() + SOON;
            while applied.load(Ordering::SeqCst) < number {
                assert!(Instant::now() < deadline, "there is load");
                std::thread::sleep(Duration::from_millis(10));
            }
            let backup = site.path(&format!("backup {number}"));
            let report = done(&site.command(&["store", "backup", text(&backup), "--json"]));
            let report: Value = serde_json::from_str(&report).expect("JSON");
            counts.push(report["records"].as_u64().expect("a count"));
            assert_eq!(mode(&backup), 0o600);
            let said = failed(&site.command(&["store", "backup", text(&backup)]));
            assert!(said.contains("this file is there already"), "{said}");
            done(&run(&["store", "check", text(&backup)]));
        }
        stop.store(true, Ordering::SeqCst);
        assert!(counts.last() > counts.first(), "there was load: {counts:?}");
    });
    drop(process);

    // A machine that has nothing but the backup and the ring.
    let other = Site::new();
    std::fs::create_dir(other.path("data")).expect("a folder");
    let restore = || other.command(&["store", "restore", text(&site.path("backup 4"))]);
    assert!(done(&restore()).contains("put the key ring that belongs to it there"));
    let said = failed(&other.command(&["serve"]));
    assert!(said.contains("the key ring of this store"), "{said}");
    std::fs::copy(site.path("data/key-ring"), other.path("data/key-ring")).expect("copied");
    set_mode(&other.path("data/key-ring"), 0o600);
    let process = other.serve().await;
    assert_eq!(other.metadata().await, 200);
    drop(process);
    done(&other.command(&["store", "check"]));
}

#[test]
fn f_19_a_damaged_store_names_the_way_back() {
    let site = Site::new();
    site.apply();
    let backup = site.path("backup");
    done(&site.command(&["store", "backup", text(&backup)]));
    let store = site.path("data/vestibule.redb");
    std::fs::write(&store, vec![b'x'; 100_000]).expect("a file");
    let said = failed(&site.command(&["serve"]));
    assert!(said.contains("damaged") && said.contains("vestibule store restore FILE --replace"), "{said}");
    done(&site.command(&["store", "restore", text(&backup), "--replace"]));
    assert_eq!(done(&site.command(&["apply", text(&site.path("tenants.toml"))])), "nothing to change\n");
}
