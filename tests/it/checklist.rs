//! `docs/checklist.md` keeps its word: every id is there once, and every test it names exists.

use std::{collections::HashMap, path::Path};

/// The families of ids and how many each has.
const FAMILIES: &[(char, usize)] = &[
    ('A', 10),
    ('B', 10),
    ('C', 22),
    ('D', 12),
    ('F', 35),
    ('G', 15),
    ('H', 18),
    ('J', 9),
    ('L', 19),
    ('N', 6),
    ('O', 15),
    ('P', 12),
    ('R', 5),
    ('S', 66),
    ('T', 13),
    ('W', 4),
];

fn rows() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/checklist.md")).expect("docs/checklist.md");
    let cells = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |").map(|row| row.split(" | ").collect::<Vec<_>>()));
    let rows = cells.filter(|cells| cells.len() == 3 && cells[0] != "id" && !cells[0].starts_with('-'));
    rows.map(|cells| (cells[0].to_owned(), cells[2].to_owned())).collect()
}

#[test]
fn every_id_of_the_checklist_has_one_row() {
    let mut rows: HashMap<_, usize> = rows().into_iter().fold(HashMap::new(), |mut rows, (id, _)| {
        *rows.entry(id).or_default() += 1;
        rows
    });
    for (family, count) in FAMILIES {
        for number in 1..=*count {
            let id = format!("{family}-{number:02}");
            assert_eq!(rows.remove(&id), Some(1), "{id}");
        }
    }
    assert!(rows.is_empty(), "ids that are not of the checklist: {rows:?}");
}

#[test]
fn every_test_that_the_checklist_names_exists() {
    let mut named = 0;
    for (id, cell) in rows() {
        assert!(!cell.trim().is_empty(), "{id} says nothing");
        for reference in cell.split('`').filter(|part| part.contains("::")) {
            let (path, name) = reference.split_once("::").unwrap_or_default();
            let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_default();
            let defined = text.contains(&format!("fn {name}(")) || text.contains(&format!("struct {name} "));
            assert!(defined, "{id} names {reference}, which does not exist");
            named += 1;
        }
    }
    assert!(named > 100, "{named} tests are named");
}
