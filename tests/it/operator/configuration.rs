//! `check-config`.

use super::*;

fn check(site: &Site) -> Output {
    run(&["check-config", text(&site.path("vestibule.toml"))])
}

#[test]
fn a_good_configuration_is_called_good() {
    let site = Site::new();
    let said = done(&check(&site));
    assert!(said.contains("good; serves http://localhost:"), "{said}");
    assert!(!site.path("data").exists(), "a check makes nothing");
}

#[test]
fn the_sample_configuration_is_good_and_says_which_files_are_missing() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("vestibule.example.toml");
    let said = done(&run(&["check-config", text(&sample)]));
    assert!(said.contains("note: /etc/vestibule/tls/chain.pem") && said.contains("good"), "{said}");
}

#[test]
fn all_problems_are_named_at_once_with_file_line_and_caret() {
    let site = Site::new();
    let bad = site
        .configuration("[[listen]]\naddress = \"here\"\n")
        .replace("http://localhost", "http://contoso.example")
        .replace("guests@contoso.example", "guests")
        .replace("folder = \"mail\"", "smtp = \"ftp://user:hunter2@contoso.example\"\n[outbound]\nallow = [\"10.0.0.0/8\"]");
    site.write("vestibule.toml", &bad);
    let said = failed(&check(&site));
    for expected in ["public_url", "listen.address", "mail.from:", "mail.smtp", "outbound.allow", "^"] {
        assert!(said.contains(expected), "{expected}:\n{said}");
    }
    assert!(said.contains(text(&site.path("vestibule.toml"))) && said.contains("line 1:"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    assert_eq!(failed(&run(&["serve", "--config", text(&site.path("vestibule.toml"))])), said, "serve says the same");
}

#[test]
fn a_misspelt_setting_and_a_missing_file_are_named() {
    let site = Site::new();
    site.write("vestibule.toml", &format!("smpt = \"smtp://user:hunter2@contoso.example\"\n{}", site.configuration("")));
    let said = failed(&check(&site));
    assert!(said.contains("unknown field `smpt`") && said.contains('^') && !said.contains("hunter2"), "{said}");
    std::fs::remove_file(site.path("vestibule.toml")).expect("removed");
    assert!(failed(&check(&site)).contains("vestibule.toml: No such file"));
}

#[test]
fn files_that_are_there_and_unusable_are_problems() {
    let site = Site::new();
    let tls = "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }\n";
    site.write("vestibule.toml", &format!("key_ring = \"ring\"\n{}", site.configuration(tls)));
    assert!(done(&check(&site)).contains("note: "));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    site.write("cert.pem", &made.cert.pem());
    site.write("key.pem", &other.signing_key.serialize_pem());
    site.write("ring", "1:AAAA\n");
    set_mode(&site.path("ring"), 0o644);
    let said = failed(&check(&site));
    assert!(said.contains("listen.tls") && said.contains("cert.pem"), "{said}");
    assert!(said.contains("key_ring") && said.contains("chmod 600") && !said.contains("AAAA"), "{said}");
}

/// A demo's folder holds the key ring of one store. It says which, and is not taken to another in silence.
#[test]
fn a_demo_keeps_to_the_store_it_began_with() {
    let data = data_folder();
    let demo = |store: &str| {
        let mut command = vestibule();
        command.args(["demo", "--json", "--listen", "127.0.0.1:0", "--data", text(data.path()), "--store", store]);
        command
    };
    let (began, _) = Process::start(demo("kept.redb"), |line| line.starts_with('{'));
    assert!(data.path().join("kept.redb").exists() && !data.path().join("vestibule.redb").exists());
    drop(began);
    let said = failed(&demo("other.redb").output().expect("the program runs"));
    assert!(said.contains("belongs to a demo with another store"), "{said}");
    drop(Process::start(demo("kept.redb"), |line| line.starts_with('{')));
}
