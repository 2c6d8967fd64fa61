//! What a newcomer reads is true as far as a machine can tell: its links lead somewhere, its commands are there.

use std::{fs, path::Path};

use crate::support::process::run_ok;

/// Every page, by its path from the root.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).expect("docs").flatten().map(|entry| entry.path());
    let docs = docs.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let others = ["README.md", "benches/README.md"].map(|page| root.join(page));
    let read = |path: std::path::PathBuf| {
        let name = path.strip_prefix(root).expect("below the root").to_str().expect("UTF-8").to_owned();
        (name, fs::read_to_string(path).expect("a page"))
    };
    docs.chain(others).map(read).collect()
}

#[test]
fn links_lead_to_files_that_are_there() {
    let mut links = 0;
    for (page, text) in pages() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(&page).parent().expect("a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            assert!(file.is_empty() || target.contains("://") || folder.join(file).exists(), "{page} leads to {target}");
            links += 1;
        }
    }
    assert!(links > 20, "{links} links");
}

/// The command and the options of a line that shows a call of the program, if it is one.
fn call(line: &str) -> Option<(Vec<&str>, Vec<&str>)> {
    let (before, after) = line.split_once("vestibule ")?;
    let begins = before.trim().is_empty() || before.ends_with("$ ") || before.ends_with('`');
    let text = after.split(['`', '|', '#']).next()?;
    let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') && !word.starts_with('-');
    let command: Vec<_> = text.split_whitespace().take_while(is_word).collect();
    let options = text.split_whitespace().map(|word| word.trim_matches(['[', ']'])).filter(|word| word.starts_with("--"));
    (begins && !command.is_empty()).then(|| (command, options.collect()))
}

#[test]
fn commands_and_their_options_are_there() {
    let mut calls = 0;
    for (page, text) in pages() {
        // A line that goes on on the next one is one line.
        let text = text.replace("\\\n", " ");
        // Each span of code in a line of prose may be a call.
        for line in text.lines().flat_map(|line| line.match_indices("vestibule ").map(move |(at, _)| (line, at))) {
            let (line, at) = line;
            let begin = line[..at].rfind('`').unwrap_or(0);
            let Some((command, options)) = call(&line[begin..]) else { continue };
            let help = run_ok(&[command.as_slice(), &["--help"]].concat());
            for option in options {
                assert!(help.contains(option), "{page}: vestibule {} has no {option}", command.join(" "));
            }
            calls += 1;
        }
    }
    assert!(calls > 30, "{calls} calls");
}
