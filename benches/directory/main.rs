//! What a directory costs: inviting one by one and in bulk, lists and filters, the start and a sign-in, with 1,000 guests and
//! with 1,000,000, on the embedded store.
//!
//! `benches/README.md` says what the rows mean. `cargo bench --bench directory -- WORD` runs the part whose name begins with the
//! word: `invite`, `bulk`, `start`, `pages`, `sign-in`. `--quick` takes 10,000 for 1,000,000, and fewer of everything;
//! `--memory` puts the files into `/dev/shm`, where a sync costs nothing.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod bulk;
#[path = "../flows/client.rs"]
mod client;
mod fill;
#[path = "../flows/guest.rs"]
#[expect(dead_code, reason = "links and paths are another benchmark's")]
mod guest;
mod invite;
mod pages;
#[path = "../flows/process.rs"]
#[expect(dead_code, reason = "its server is another benchmark's")]
mod process;
mod program;
#[path = "../flows/setting.rs"]
mod setting;
mod sign_in;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use fill::Filled;
use program::Program;
use redb::{Database, TableDefinition};

/// How often everything is measured.
const ROUNDS: usize = 3;

/// What was asked for on the command line.
pub(crate) struct Bench {
    quick: bool,
    in_memory: bool,
    /// Whether servers have a core of their own.
    pin: bool,
}

impl Bench {
    /// As many as given, or a tenth of it.
    pub(crate) fn of(&self, count: usize) -> usize {
        if self.quick { count / 10 } else { count }
    }

    /// A folder for a server and its store.
    pub(crate) fn folder(&self) -> tempfile::TempDir {
        let place = if self.in_memory { "/dev/shm" } else { env!("CARGO_TARGET_TMPDIR") };
        tempfile::tempdir_in(place).expect("a folder")
    }
}

/// One figure a round.
#[derive(Clone, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }
}

impl std::fmt::Display for Figures {
    /// Median, least and most.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places = if self.median() < 100.0 { 2 } else { 0 };
        let text = format!("{:.places$} ({:.places$} – {:.places$})", self.median(), self.0[0], self.0[self.0.len() - 1]);
        f.pad(&text)
    }
}

/// The value below which so many percent of the times are, in milliseconds.
pub(crate) fn quantile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1e3
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let said = |word: &str| arguments.iter().any(|argument| argument == word);
    let pin = process::keep_off_the_servers_core();
    let bench = Bench { quick: said("--quick"), in_memory: said("--memory"), pin };
    let word = arguments.iter().find(|argument| !argument.starts_with('-')).cloned().unwrap_or_default();
    let named = |part: &str| part.starts_with(&word);
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("server on a core of its own: {pin}; files in memory: {}; load before: {}", bench.in_memory, load().trim());
    println!("figures: median (least – most) of {ROUNDS} rounds");
    if named("invite") {
        invite::one_by_one(&bench);
    }
    if named("bulk") {
        bulk::over_http(&bench);
        bulk::files(&bench);
    }
    if ["start", "pages", "sign-in"].into_iter().any(named) {
        let sizes = [1_000, if bench.quick { 10_000 } else { 1_000_000 }];
        let directories = sizes.map(|guests| Filled::new(&bench, guests));
        if named("start") {
            directories.iter().for_each(|directory| start(&bench, directory));
            directories.iter().for_each(quick_repair);
        }
        if named("pages") {
            pages::measure(&bench, &directories);
        }
        if named("sign-in") {
            sign_in::measure(&bench, &directories);
        }
    }
    println!("load after: {}", load().trim());
}

/// How long the server's own program takes until it answers: after it was stopped in order, and after it was cut off.
fn start(bench: &Bench, directory: &Filled) {
    let (mut stopped, mut cut_off, mut memory) = (Figures::default(), Figures::default(), Figures::default());
    Program::start(directory.folder.path(), bench.pin).stop();
    for _ in 0..ROUNDS {
        let program = Program::start(directory.folder.path(), bench.pin);
        stopped.add(program.started.as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_millis(500));
        memory.add(program.resident() as f64 / 1024.0);
        program.cut_off();
        let program = Program::start(directory.folder.path(), bench.pin);
        cut_off.add(program.started.as_secs_f64() * 1e3);
        program.stop();
    }
    println!(
        "{:>9} guests: start to first answer {stopped} ms; after a crash {cut_off} ms; at rest {memory} MiB",
        directory.guests
    );
}

/// What a commit costs the bare engine without and with a record of what of the file is free, by which a file that was not closed
/// is opened without reading it all; in turns, on the directory's own file.
fn quick_repair(directory: &Filled) {
    const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("benchmark");
    let file = Database::open(directory.folder.path().join("data/vestibule.redb")).expect("the file opens");
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..1_000 {
        let begun = Instant::now();
        let mut transaction = file.begin_write().expect("a transaction begins");
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(number % 2 == 1);
        transaction.open_table(ROWS).expect("a table").insert(number, [0; 400].as_slice()).expect("a row is stored");
        transaction.commit().expect("the transaction commits");
        times[number as usize % 2].push(begun.elapsed());
    }
    let [plain, quick] = times.map(|mut times| [50, 99].map(|percent| quantile(&mut times, percent)));
    println!("{:>9} guests: a bare commit p50 and p99 {plain:.2?} ms, prepared for a crash {quick:.2?} ms", directory.guests);
    let transaction = file.begin_write().expect("a transaction begins");
    transaction.delete_table(ROWS).expect("the table goes");
    transaction.commit().expect("the transaction commits");
}

/// The size of a file, in MiB.
pub(crate) fn mebibytes(file: &Path) -> f64 {
    std::fs::metadata(file).map_or(0, |file| file.len()) as f64 / 1_048_576.0
}
