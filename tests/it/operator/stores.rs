//! `store`: copying the store as a whole.

use super::*;

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
    let mut command = vestibule();
    command.args(["store", "copy", "--from", text(&site.store()), "--to", text(&target)]);
    let (process, _) = Process::spawn(command);
    let (deadline, empty) = (Instant::now() + SOON, 150 * 4096);
    while std::fs::metadata(&target).map_or(0, |file| file.len()) < empty {
        assert!(Instant::now() < deadline && process.wait(Duration::ZERO).is_none(), "{}", process.log());
    }
    process.signal("INT");
    assert_ne!(process.wait(SOON).and_then(|status| status.code()), Some(0), "it was not done yet");

    site.use_store("copy");
    for command in [&["serve"][..], &["apply", text(&site.path("tenants.toml"))]] {
        let said = failed(&site.command(command));
        assert!(said.contains("unfinished copy") && said.contains("--start-over"), "{said}");
    }
    assert!(failed(&copy(&site.store(), &target, &[])).contains("--start-over"));
    assert!(done(&copy(&site.store(), &target, &["--start-over"])).contains("verified"));
    assert_eq!(done(&site.command(&["apply", text(&site.path("tenants.toml"))])), "nothing to change\n");
}
