//! F-14: the key ring, without which nothing in the store can be opened.

use super::*;

fn apply(site: &Site, environment: &[(&str, &str)]) -> Output {
    let mut command = vestibule();
    command.args(["apply", text(&site.path("tenants.toml")), "--config", text(&site.path("vestibule.toml"))]);
    command.envs(environment.iter().copied()).output().expect("the program runs")
}

/// A ring that is none of ours.
fn another_ring() -> String {
    format!("1:{}\n", random())
}

#[test]
fn f_14_a_ring_is_made_once_and_never_beside_an_old_store() {
    let site = Site::new();
    site.apply();
    let ring = site.path("data/key-ring");
    assert_eq!((mode(&ring), mode(&site.path("data")), mode(&site.path("data/vestibule.redb"))), (0o600, 0o700, 0o600));
    let kept = std::fs::read_to_string(&ring).expect("a ring");

    std::fs::remove_file(&ring).expect("removed");
    let said = failed(&apply(&site, &[]));
    assert!(said.contains("key-ring: the key ring of this store; copy it from where it was made: No such file"), "{said}");
    assert!(!ring.exists(), "no new one is made in silence");
    assert!(failed(&site.command(&["serve"])).contains("the key ring of this store"));

    std::fs::write(&ring, another_ring()).expect("a file");
    set_mode(&ring, 0o600);
    let said = failed(&apply(&site, &[]));
    assert!(said.contains("this key ring is not the one that seals this store"), "{said}");

    for broken in ["", "1:AAAA", "hello", &kept[..kept.len() / 2]] {
        std::fs::write(&ring, broken).expect("a file");
        let said = failed(&apply(&site, &[]));
        assert!(said.contains("key-ring") && (broken.is_empty() || !said.contains(broken)), "{said}");
        assert_eq!(std::fs::read_to_string(&ring).expect("a ring"), broken, "it is not written over");
    }

    std::fs::write(&ring, &kept).expect("a file");
    for open in [0o644, 0o640, 0o604, 0o660] {
        set_mode(&ring, open);
        let said = failed(&apply(&site, &[]));
        assert!(said.contains("can be read by others") && said.contains("chmod 600"), "{open:o}: {said}");
    }
    set_mode(&ring, 0o600);
    assert_eq!(done(&apply(&site, &[])), "nothing to change\n", "the right one opens everything");
}

#[test]
fn f_14_a_first_start_that_was_cut_off_while_it_made_the_ring_can_be_repeated() {
    let site = Site::new();
    std::fs::create_dir(site.path("data")).expect("a folder");
    std::fs::write(site.path("data/key-ring"), "").expect("a file");
    set_mode(&site.path("data/key-ring"), 0o600);
    site.apply();
    assert!(!std::fs::read_to_string(site.path("data/key-ring")).expect("a ring").is_empty());
}

#[tokio::test]
async fn the_ring_may_come_from_the_environment() {
    let site = Site::new();
    let (ours, other) = (another_ring(), another_ring());
    done(&apply(&site, &[("VESTIBULE_KEY_RING", &ours)]));
    assert!(!site.path("data/key-ring").exists());
    let said = failed(&apply(&site, &[("VESTIBULE_KEY_RING", &other)]));
    assert!(said.contains("not the one that seals this store"), "{said}");
    let said = failed(&apply(&site, &[("VESTIBULE_KEY_RING", "hunter2")]));
    assert!(said.contains("the key ring of the environment") && !said.contains("hunter2"), "{said}");
    assert!(failed(&apply(&site, &[])).contains("the key ring of this store"));

    let rotated = format!("2:{}\n{ours}", random());
    let process = site.spawn(&[("VESTIBULE_KEY_RING", &rotated)]);
    site.ready(&process).await;
    site.token().await;
    assert_eq!(site.keys().await.len(), 2, "a ring with a newer key opens what the older one sealed");
    for secret in rotated.lines().chain(ours.lines()) {
        assert!(!process.log().contains(secret.split_once(':').expect("a key").1), "{}", process.log());
    }
}

/// What `check-config` finds good, the first start can make.
#[test]
fn the_folder_of_a_ring_is_made_with_it() {
    let site = Site::new();
    site.write("vestibule.toml", &format!("key_ring = \"rings/of ours/key-ring\"\n{}", site.configuration("")));
    done(&apply(&site, &[]));
    assert_eq!(mode(&site.path("rings/of ours")), 0o700);
    assert_eq!(mode(&site.path("rings/of ours/key-ring")), 0o600);
}
