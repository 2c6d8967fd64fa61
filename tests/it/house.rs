//! The house keeps its rules: what may depend on what is read from the sources.

use std::{fs, path::Path};

/// The Rust files below `folder`, with their paths.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(path: &Path, found: &mut Vec<(String, String)>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), found);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    assert!(!found.is_empty(), "{folder}");
    found
}

/// The code of a file, without its tests, comments and doc comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let until_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    until_tests.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// A file is read as a whole.
#[test]
fn files_are_short() {
    for folder in ["src", "tests", "benches", "examples"] {
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            assert!(lines < 400, "{path} has {lines} lines");
        }
    }
}

/// Pure modules know nothing of HTTP servers and clients, storage, tasks, or the time of day.
#[test]
fn pure_modules_stay_pure() {
    let forbidden = [
        "async fn",
        ".await",
        "axum",
        "hyper",
        "reqwest",
        "redis",
        "redb",
        "tokio::",
        "openidconnect",
        "crate::store",
        "crate::flows",
        "crate::http",
        "crate::identity",
        "crate::mail",
        "Timestamp::now",
        "SystemTime",
        "Instant::now",
    ];
    for pure in [
        "src/domain",
        "src/oidc",
        "src/odata",
        "src/decision.rs",
        "src/error.rs",
        "src/error",
        "src/secret.rs",
        "src/seal.rs",
        "src/cookies.rs",
        "src/cookies",
    ] {
        for (path, text) in sources(pure) {
            for line in code(&text) {
                for word in forbidden {
                    assert!(!line.contains(word), "{path} is pure, but: {line}");
                }
            }
        }
    }
    for (path, text) in sources("src/domain") {
        for line in code(&text) {
            assert!(!line.contains("crate::oidc") && !line.contains("jsonwebtoken"), "{path} knows no tokens, but: {line}");
        }
    }
}

/// Each library that is to be kept in one place is.
#[test]
fn libraries_stay_in_their_rooms() {
    let rooms: [(&str, &[&str]); 7] = [
        ("hickory_resolver::", &["src/dns.rs"]),
        ("openidconnect::", &["src/identity/upstream", "src/layer/remote", "src/outbound"]),
        ("redb::", &["src/store/embedded"]),
        ("webauthn_rs", &["src/identity/passkey/webauthn.rs"]),
        ("zxcvbn", &["src/identity/account/strength.rs"]),
        ("lettre::", &["src/mail"]),
        ("askama::", &["src/http/pages", "src/mail", "src/i18n.rs"]),
    ];
    for (path, text) in sources("src") {
        let here = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/")).unwrap();
        for (library, allowed) in rooms {
            let used = code(&text).any(|line| line.contains(library));
            assert!(!used || allowed.iter().any(|room| here.starts_with(room)), "{here} uses {library}");
        }
    }
}

/// Dependencies point one way.
#[test]
fn nothing_reaches_up() {
    for (folder, above) in [
        ("src/store", &["crate::flows", "crate::http", "crate::server", "crate::cli", "crate::identity", "crate::mail"][..]),
        ("src/identity", &["crate::flows", "crate::http", "crate::server", "crate::cli", "crate::mail"]),
        ("src/mail", &["crate::flows", "crate::http", "crate::server", "crate::cli"]),
        ("src/flows", &["crate::http", "crate::server", "crate::cli"]),
        ("src/http", &["crate::server", "crate::cli"]),
        ("src/server.rs", &["crate::cli"]),
    ] {
        for (path, text) in sources(folder) {
            for room in above {
                assert!(!code(&text).any(|line| line.contains(room)), "{path} reaches up into {room}");
            }
        }
    }
}

/// The layer builds without the server's rooms, and keeps out of them.
#[test]
fn the_layer_hangs_off_the_decision() {
    for (path, text) in sources("src/layer") {
        for room in ["crate::http", "crate::flows", "crate::store", "crate::server"] {
            assert!(!code(&text).any(|line| line.contains(room)), "{path} reaches into {room}");
        }
    }
}
