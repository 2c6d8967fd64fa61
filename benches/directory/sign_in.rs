//! The same sign-in in a small directory and in a large one, in turns: by somebody with a session, and for the first time.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use super::{
    Bench, Figures, ROUNDS,
    client::{Browser, Connection},
    fill::Filled,
    guest::{App, ask_for_a_code, passcodes, redeem},
    program::Program,
    quantile,
    setting::{self, ES256},
};

/// Sign-ins with a session in a round.
const AGAIN: usize = 1_000;
/// First ones in a round: a tenant sends at most 300 codes at once.
const FIRST: usize = 80;

/// What was measured at one server.
#[derive(Default)]
struct Row {
    p50: Figures,
    p99: Figures,
    /// The server's CPU time for one, in ms.
    cpu: Figures,
}

impl Row {
    fn add(&mut self, times: &mut [Duration], cpu: Duration) {
        self.p50.add(quantile(times, 50));
        self.p99.add(quantile(times, 99));
        self.cpu.add(cpu.as_secs_f64() * 1e3 / times.len() as f64);
    }
}

/// Both sign-ins at every server, in turns.
pub(crate) fn measure(bench: &Bench, directories: &[Filled]) {
    let (again, first) = (bench.of(AGAIN), bench.of(FIRST));
    directories.iter().for_each(|directory| directory.add_newcomers(first * ROUNDS));
    let programs: Vec<_> = directories.iter().map(|directory| Program::start(directory.folder.path(), bench.pin)).collect();
    let app = App::new(ES256, setting::domain(0));
    let authorize = app.authorize("openid profile email", "");
    let mut people: Vec<_> =
        programs.iter().zip(directories).map(|(program, directory)| regular(program, directory, &app)).collect();
    let mut rows: [Vec<Row>; 2] = Default::default();
    rows.iter_mut().for_each(|rows| rows.resize_with(programs.len(), Row::default));
    let [with_session, for_the_first_time] = &mut rows;
    for round in 0..=ROUNDS {
        for ((program, (connection, headers)), row) in programs.iter().zip(&mut people).zip(&mut *with_session) {
            let before = program.usage();
            let mut times: Vec<_> = (0..again).map(|_| timed(|| app.code_flow(connection, &authorize, headers)).1).collect();
            // The first round warms up.
            if round > 0 {
                row.add(&mut times, program.usage().since(&before));
            }
        }
    }
    for round in 0..ROUNDS {
        for ((program, directory), row) in programs.iter().zip(directories).zip(&mut *for_the_first_time) {
            let before = program.usage();
            let mut times = first_visits(program, directory, &app, round * first..(round + 1) * first);
            row.add(&mut times, program.usage().since(&before));
        }
    }
    println!("{:<34} {:>9} {:>26} {:>26} {:>26}", "a sign-in, ms", "guests", "p50", "p99", "server CPU");
    for (name, rows) in ["with a session", "first redemption by passcode"].into_iter().zip(&rows) {
        for (Row { p50, p99, cpu }, directory) in rows.iter().zip(directories) {
            println!("{name:<34} {:>9} {p50:>26} {p99:>26} {cpu:>26}", directory.guests);
        }
        let ratio = |figures: fn(&Row) -> &Figures| figures(&rows[1]).median() / figures(&rows[0]).median();
        println!(
            "{name:<34} ratio: p50 {:.2}, p99 {:.2}, CPU {:.2}",
            ratio(|row| &row.p50),
            ratio(|row| &row.p99),
            ratio(|row| &row.cpu)
        );
    }
    programs.into_iter().for_each(Program::stop);
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let done = work();
    (done, begun.elapsed())
}

/// Somebody with a session: their connection and headers.
fn regular(program: &Program, directory: &Filled, app: &App) -> (Connection, String) {
    let mail = setting::guest(0, 0);
    let mut browser = Browser::new(program.connection());
    let page = ask_for_a_code(&mut browser, app, &mail);
    let code = passcodes(&directory.folder.path().join("mail"), 1).remove(&mail).expect("a code");
    let code = redeem(&mut browser, &page, &code);
    let (mut connection, cookies) = browser.into_parts();
    app.trade(&mut connection, &code);
    let headers = format!("accept: text/html\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\ncookie: {cookies}\r\n");
    (connection, headers)
}

/// Guests who were never here, one after the other: what each of them waited for the server, and not for the mail.
fn first_visits(program: &Program, directory: &Filled, app: &App, numbers: std::ops::Range<usize>) -> Vec<Duration> {
    let waiting: Vec<_> = numbers
        .map(|number| {
            // One network may ask for 30 codes at once.
            let network = Ipv4Addr::new(127, 1, (number / 20) as u8, 1);
            let mut browser = Browser::new(Connection::open(program.port, network));
            let (page, took) = timed(|| ask_for_a_code(&mut browser, app, &setting::guest(1, number)));
            (number, browser, page, took)
        })
        .collect();
    let codes = passcodes(&directory.folder.path().join("mail"), waiting.len());
    let rest = waiting.into_iter().map(|(number, mut browser, page, before)| {
        let passcode = &codes[&setting::guest(1, number)];
        let (_, took) = timed(|| {
            let code = redeem(&mut browser, &page, passcode);
            app.trade(&mut browser.into_parts().0, &code);
        });
        before + took
    });
    rest.collect()
}
