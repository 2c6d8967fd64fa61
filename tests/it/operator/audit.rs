//! `audit`: whether the log is unchanged, and what is in it, with the server and without.

use vestibule::store::{
    Batch, Partition,
    embedded::EmbeddedStore,
    records::{self, Store},
};

use super::*;

impl Site {
    fn audit(&self, arguments: &[&str]) -> Output {
        self.command(&[&["audit"], arguments].concat())
    }

    /// Changes what is stored, behind the server's back.
    async fn tamper(&self, change: impl FnOnce(Batch) -> Batch) {
        let file = EmbeddedStore::open(&self.path("data/vestibule.redb"), std::sync::Arc::new(vestibule::clock::SystemClock));
        let store = Store::new(std::sync::Arc::new(file.expect("a store")));
        let batch = change(Batch::new(Partition::Tenant(TENANT.parse().expect("an id"))));
        store.commit(batch).await.expect("written");
    }
}

/// The head that `audit verify` prints.
fn head(said: &str) -> String {
    said.trim().rsplit_once("head ").unwrap_or_else(|| panic!("{said}")).1.to_owned()
}

#[tokio::test]
async fn w_03_an_audit_log_is_verified_with_the_server_and_without() {
    let site = Site::new();
    site.apply();
    let offline = done(&site.audit(&["verify"]));
    assert!(offline.starts_with(TENANT) && offline.contains("unchanged"), "{offline}");
    let noted = head(&offline);
    let process = site.serve().await;
    assert_eq!(done(&site.audit(&["verify", "contoso.example"])), offline, "the running server says the same");
    done(&site.command(&["keys", "rotate", TENANT]));
    let later = done(&site.audit(&["verify", TENANT, "--head", &noted]));
    assert_ne!(head(&later), noted);
    let wrong = format!("{}:{}", noted.split_once(':').expect("a head").0, "0".repeat(64));
    assert!(failed(&site.audit(&["verify", TENANT, "--head", &wrong])).contains("1 audit log was changed"));
    for misused in [&["verify", "--head", noted.as_str()][..], &["verify", TENANT, "--head", "12"]] {
        assert_eq!(site.audit(misused).status.code(), Some(2));
    }

    let listed = done(&site.audit(&["list", TENANT, "--limit", "2"]));
    assert!(listed.lines().count() == 2 && listed.contains("keysRotated") && listed.contains("operator"), "{listed}");
    let json = done(&site.audit(&["list", TENANT, "--json", "--limit", "1"]));
    let last: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(last["activity"]["activity"], "keysRotated", "{json}");
    assert_eq!(last["sequence"].to_string(), head(&later).split_once(':').expect("a head").0);
    let all = done(&site.audit(&["list", TENANT])).lines().count();
    let at = last["at"].as_str().expect("a time");
    assert_eq!(done(&site.audit(&["list", TENANT, "--since", at])).lines().count(), 1, "of {all}");
    assert_eq!(done(&site.audit(&["list", TENANT, "--since", "2100-01-01T00:00:00Z"])), "");
    drop(process);
}

#[tokio::test]
async fn w_03_a_changed_dropped_or_cut_off_log_is_found_with_the_server_and_without() {
    let tenant = TENANT.parse().expect("an id");
    let wrong = async |site: &Site, arguments: &[&str], entry: u64| {
        let offline = site.audit(arguments);
        let process = site.serve().await;
        let online = site.audit(arguments);
        drop(process);
        for output in [offline, online] {
            assert!(failed(&output).contains("1 audit log was changed"), "{output:?}");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains(&format!("entry {entry}: ")), "{said}");
        }
    };
    let site = Site::new();
    site.apply();
    let noted = head(&done(&site.audit(&["verify"])));
    let last: u64 = noted.split_once(':').expect("a head").0.parse().expect("a number");
    // The last entry and the head that knows of it.
    let store = EmbeddedStore::open(&site.path("data/vestibule.redb"), std::sync::Arc::new(vestibule::clock::SystemClock));
    let store = Store::new(std::sync::Arc::new(store.expect("a store")));
    let before = store.get(&records::audit_event(tenant, last - 1)).await.expect("read").expect("an entry").value;
    let mut third = store.get(&records::audit_event(tenant, 3)).await.expect("read").expect("an entry").value;
    drop(store);
    let end = before.head(tenant);
    site.tamper(|batch| batch.delete(&records::audit_event(tenant, last)).put(&records::audit_head(tenant), &end)).await;
    assert!(done(&site.audit(&["verify"])).contains("unchanged"), "by itself it is a good chain");
    wrong(&site, &["verify", TENANT, "--head", &noted], last).await;
    site.tamper(|batch| batch.delete(&records::audit_event(tenant, last - 1))).await;
    wrong(&site, &["verify"], last - 1).await;
    third.at = jiff::Timestamp::UNIX_EPOCH;
    site.tamper(|batch| batch.put(&records::audit_event(tenant, 3), &third)).await;
    wrong(&site, &["verify", TENANT], 4).await;
    site.tamper(|batch| batch.delete(&records::audit_event(tenant, 2))).await;
    wrong(&site, &["verify"], 3).await;
}
