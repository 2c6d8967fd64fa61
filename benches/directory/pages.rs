//! Lists of guests over HTTP, as an app asks for them: the time of a page in a small directory and in a large one, in turns.

use std::time::{Duration, Instant};

use super::{
    Bench, Figures, ROUNDS,
    client::{Answer, Connection},
    fill::{Filled, address},
    guest::{App, member},
    program::Program,
    quantile,
    setting::{self, ES256, RS256},
};

/// What is asked for, by its name; how often in a round; and whether half the directory is read before.
const ASKED: [(&str, &str, usize, bool); 9] = [
    ("first page, $top=100", "$top=100", 100, false),
    ("page in the middle, $top=100", "$top=100", 100, true),
    ("first page, $top=999", "$top=999", 50, false),
    ("page in the middle, $top=999", "$top=999", 50, true),
    ("$filter=mail eq", "", 200, false),
    ("$filter=externalUserState eq 'PendingAcceptance'", "$filter=externalUserState%20eq%20'PendingAcceptance'", 20, false),
    ("$filter=startswith(displayName,…)", "$filter=startswith(displayName,'Maria')", 30, false),
    ("$count=true", "$count=true", 1, false),
    ("$orderby=displayName&$top=100", "$orderby=displayName&$top=100", 1, false),
];

/// An app at a server, with its connection and tokens: two, since one may ask for 2,000 pages in 10 s.
struct Reader<'a> {
    program: &'a Program,
    connection: Connection,
    tokens: Vec<String>,
    asked: usize,
}

/// What was measured of one question at one server.
#[derive(Default)]
struct Measured {
    p50: Figures,
    p99: Figures,
    /// The server's CPU time for a page, in ms.
    cpu: Figures,
    /// MiB.
    before: f64,
    after: f64,
    entities: usize,
    bytes: usize,
}

impl<'a> Reader<'a> {
    fn new(program: &'a Program) -> Self {
        let mut connection = program.connection();
        let tokens = [ES256, RS256].map(|app| {
            let grant = format!("grant_type=client_credentials&scope=http://{}/.default", connection.host);
            let answer = App::new(app, setting::domain(0)).token(&mut connection, &grant);
            format!("authorization: Bearer {}\r\naccept: application/json\r\n", member(&answer, "access_token"))
        });
        Self { program, connection, tokens: tokens.into(), asked: 0 }
    }

    /// Asks until it is not too often; the time is that of the answer.
    fn ask(&mut self, target: &str) -> (Answer, Duration) {
        loop {
            self.asked += 1;
            let begun = Instant::now();
            let answer = self.connection.send("GET", target, &self.tokens[self.asked % 2], None);
            let took = begun.elapsed();
            if answer.status != 429 {
                return (answer.expect(200), took);
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Follows links to the page after so many.
    fn page_after(&mut self, target: &str, pages: usize) -> String {
        let mut target = target.to_owned();
        for _ in 0..pages {
            target = next(&self.ask(&target).0).expect("another page");
        }
        target
    }
}

/// The path and query of the next page.
fn next(answer: &Answer) -> Option<String> {
    let link = answer.between("\"@odata.nextLink\":\"", '"')?;
    Some(link[link.find("/v1.0").expect("a link of this API")..].to_owned())
}

fn entities(answer: &Answer) -> usize {
    answer.body.matches("\"userPrincipalName\":").count()
}

/// Every question at every server, in turns.
pub(crate) fn measure(bench: &Bench, directories: &[Filled]) {
    let programs: Vec<_> = directories.iter().map(|directory| Program::start(directory.folder.path(), bench.pin)).collect();
    let mut readers: Vec<_> = programs.iter().map(Reader::new).collect();
    println!("{:<50} {:>9} {:>26} {:>26} {:>26}   memory", "a page, ms", "guests", "p50", "p99", "server CPU");
    for (name, query, times, middle) in ASKED {
        let times = if times == 1 { 1 } else { bench.of(times).max(5) };
        let targets: Vec<_> = readers
            .iter_mut()
            .zip(directories)
            .map(|(reader, directory)| {
                let target = match query {
                    "" => format!("/v1.0/users?$filter=mail%20eq%20'{}'", address(directory.guests / 2)),
                    query => format!("/v1.0/users?{query}"),
                };
                let top = if query.ends_with("999") { 999 } else { 100 };
                reader.page_after(&target, if middle { directory.guests / top / 2 } else { 0 })
            })
            .collect();
        let mut measured: Vec<_> = readers.iter().map(|_| Measured::default()).collect();
        for (reader, measured) in readers.iter().zip(&mut measured) {
            measured.before = reader.program.resident() as f64 / 1024.0;
        }
        for _ in 0..ROUNDS {
            for ((reader, target), measured) in readers.iter_mut().zip(&targets).zip(&mut measured) {
                one_round(reader, target, times, measured);
            }
        }
        for ((measured, directory), reader) in measured.iter_mut().zip(directories).zip(&readers) {
            measured.after = reader.program.resident() as f64 / 1024.0;
            let Measured { p50, p99, cpu, before, after, entities, bytes } = measured;
            println!(
                "{name:<50} {:>9} {p50:>26} {p99:>26} {cpu:>26}   {before:.1} -> {after:.1} MiB; {entities} of {bytes} bytes",
                directory.guests
            );
        }
    }
    for (reader, directory) in readers.iter_mut().zip(directories) {
        to_the_end(reader, directory.guests, "$filter=externalUserState%20eq%20'PendingAcceptance'");
        to_the_end(reader, directory.guests, "$top=999");
    }
    drop(readers);
    programs.into_iter().for_each(Program::stop);
}

fn one_round(reader: &mut Reader<'_>, target: &str, times: usize, measured: &mut Measured) {
    let (mut took, mut spent) = (Vec::new(), Duration::ZERO);
    for _ in 0..times {
        let before = reader.program.usage();
        let (answer, time) = reader.ask(target);
        spent += reader.program.usage().since(&before);
        took.push(time);
        (measured.entities, measured.bytes) = (entities(&answer), answer.body.len());
    }
    measured.p50.add(quantile(&mut took, 50));
    measured.p99.add(quantile(&mut took, 99));
    measured.cpu.add(spent.as_secs_f64() * 1e3 / times as f64);
}

/// A whole list, page after page.
fn to_the_end(reader: &mut Reader<'_>, guests: usize, query: &str) {
    let (before, mut target) = (reader.program.resident(), Some(format!("/v1.0/users?{query}")));
    let (mut took, mut found, mut empty) = (Vec::new(), 0, 0);
    while let Some(page) = target {
        let (answer, time) = reader.ask(&page);
        took.push(time);
        found += entities(&answer);
        empty += usize::from(entities(&answer) == 0);
        target = next(&answer);
    }
    println!(
        "{guests:>9} guests, {query} to the end: {} pages ({empty} empty), {found} guests, {:.2} s in all, a page p50 {:.2} ms, \
         p99 {:.2} ms; memory {:.1} -> {:.1} MiB",
        took.len(),
        took.iter().sum::<Duration>().as_secs_f64(),
        quantile(&mut took, 50),
        quantile(&mut took, 99),
        before as f64 / 1024.0,
        reader.program.resident() as f64 / 1024.0
    );
}
