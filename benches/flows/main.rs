//! Whole flows per second of server CPU: the real server in a process of its own, on one core, and a driver on the others.
//!
//! `benches/README.md` says what the rows mean. `cargo bench --bench flows -- WORD` measures the rows whose name has the word.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod client;
mod guest;
mod process;
mod serve;
mod setting;

use std::{
    collections::HashMap,
    hint::black_box,
    net::Ipv4Addr,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use client::{Browser, Connection};
use guest::{App, ask_for_a_code, member, passcodes, redeem};
use process::{Server, of_this_thread, pinned, resident};
use setting::{ES256, REGULARS, RS256};

/// Rounds, in each of which every row is measured once.
const ROUNDS: usize = 5;
/// How long a row is measured in a round.
const SPELL: Duration = Duration::from_millis(400);
/// First visits in a round, and the rounds that have them: the server sends at most 1,000 codes at once.
const NEWCOMERS: usize = 240;
const FIRST_VISITS: usize = 3;

/// One of the clients that work side by side.
struct Worker {
    connection: Connection,
    /// What it says about itself: a person's browser, with its session.
    headers: String,
    refresh_token: String,
    access_token: String,
}

impl Worker {
    /// Nobody yet, who sends these header lines.
    fn new(connection: Connection, headers: &str) -> Self {
        Self { connection, headers: headers.to_owned(), refresh_token: String::new(), access_token: String::new() }
    }
}

/// The headers of a person's browser.
const PERSON: &str = "accept: text/html\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n";

/// What a worker does again and again.
type Work = Box<dyn Fn(&mut Worker) + Sync>;

/// What was measured: operations a second of server CPU, one figure a round.
struct Row {
    name: String,
    rates: Vec<f64>,
    /// Operations a second by the clock, which the driver and the neighbours share in.
    by_clock: Vec<f64>,
}

impl Row {
    fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), rates: Vec::new(), by_clock: Vec::new() }
    }

    fn add(&mut self, count: usize, cpu: Duration, clock: Duration) {
        self.rates.push(count as f64 / cpu.as_secs_f64());
        self.by_clock.push(count as f64 / clock.as_secs_f64());
    }

    fn print(&self) {
        let sorted = |values: &[f64]| {
            let mut values = values.to_vec();
            values.sort_by(f64::total_cmp);
            values
        };
        let rates = sorted(&self.rates);
        let (Some(least), Some(most)) = (rates.first(), rates.last()) else { return };
        let (median, by_clock) = (rates[rates.len() / 2], sorted(&self.by_clock)[rates.len() / 2]);
        let micros = 1e6 / median;
        println!("{:<48} {median:>9.0} {least:>9.0} {most:>9.0} {micros:>9.1} {by_clock:>9.0}", self.name);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, serve, kind, folder] = &arguments[..]
        && serve == "--serve"
    {
        return serve::serve(kind, Path::new(folder)).expect("the server runs");
    }
    let word = arguments.iter().skip(1).find(|argument| !argument.starts_with('-')).cloned().unwrap_or_default();
    let pin = process::keep_off_the_servers_core();
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("server on a core of its own: {pin}; load before: {}", load().trim());
    println!("{:<48} {:>9} {:>9} {:>9} {:>9} {:>9}", "a second of server CPU", "median", "least", "most", "µs each", "by clock");
    let named = |name: &str| name.contains(&word);
    if named("bare signature") {
        signatures();
    }
    let bare_folder = folder(false);
    let bare = Server::start("bare", bare_folder.path(), pin);
    let mut stores = Vec::new();
    for kind in ["memory", "embedded"] {
        let folder = folder(kind == "embedded");
        setting::write(folder.path(), FIRST_VISITS, NEWCOMERS);
        let server = Server::start(kind, folder.path(), pin);
        stores.push((kind, server, folder));
    }
    steady(&bare, &mut stores, &named);
    for (kind, server, folder) in &mut stores {
        if named("first visit") {
            first_visits(kind, server, folder.path());
        }
        if named("anonymous") {
            anonymous(kind, server, folder.path());
        }
    }
    let (_, embedded, folder) = stores.remove(1);
    drop(embedded);
    if named("start") {
        start(folder.path(), pin);
    }
    println!("load after: {}", load().trim());
}

/// A folder for a server. Without the embedded store it holds mails only, which are files: those go to memory.
fn folder(on_disk: bool) -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let place = if on_disk || !memory.is_dir() { Path::new(env!("CARGO_TARGET_TMPDIR")) } else { memory };
    tempfile::tempdir_in(place).expect("a folder")
}

/// The limit of everything that signs: the same library with a prepared key, and nothing around it.
fn signatures() {
    let random = SystemRandom::new();
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let message = [b'x'; 900];
    let mut rows = [Row::new("bare signature, ES256"), Row::new("bare signature, RS256")];
    let mut signature = vec![0; rsa.public_modulus_len()];
    for _ in 0..ROUNDS {
        rows[0].add_thread(2_000, || {
            black_box(ec.sign(&random, &message).expect("a signature"));
        });
        rows[1].add_thread(300, || rsa.sign(&RSA_PKCS1_SHA256, &random, &message, &mut signature).expect("a signature"));
    }
    rows.iter().for_each(Row::print);
}

impl Row {
    fn add_thread(&mut self, count: usize, mut work: impl FnMut()) {
        let (cpu, clock) = (of_this_thread(), Instant::now());
        (0..count).for_each(|_| work());
        self.add(count, of_this_thread().saturating_sub(cpu), clock.elapsed());
    }
}

/// The rows of guests who were here before, and of programs: all rows in turn, round after round.
fn steady(bare: &Server, stores: &mut [(&str, Server, tempfile::TempDir)], named: &dyn Fn(&str) -> bool) {
    let mut plain: Vec<_> = (0..REGULARS).map(|_| Worker::new(at(bare), "")).collect();
    let mut regulars: Vec<_> = stores.iter().map(|(_, server, folder)| regulars(server, folder.path())).collect();
    let works = works();
    let bare_work: [(&str, Work); 1] = [(
        "bare axum, GET /",
        Box::new(|worker| {
            worker.connection.send("GET", "/", "", None).expect(200);
        }),
    )];
    let mut rows: HashMap<String, Row> = HashMap::new();
    let mut order = Vec::new();
    // The first round warms up and does not count.
    for round in 0..=ROUNDS {
        let mut one = |name: String, server: &Server, workers: &mut [Worker], work: &Work| {
            if !named(&name) {
                return;
            }
            let (count, cpu, clock) = spell(server, workers, work);
            if round > 0 {
                if round == 1 {
                    order.push(name.clone());
                }
                rows.entry(name.clone()).or_insert_with(|| Row::new(name)).add(count, cpu, clock);
            }
        };
        for (name, work) in &bare_work {
            one((*name).to_owned(), bare, &mut plain, work);
        }
        for (name, work) in &works {
            for ((kind, server, _), workers) in stores.iter().zip(&mut regulars) {
                one(format!("{name} ({kind})"), server, workers, work);
            }
        }
    }
    order.iter().for_each(|name| rows[name].print());
}

fn at(server: &Server) -> Connection {
    Connection::open(server.port, Ipv4Addr::LOCALHOST)
}

/// All workers at once, for a while: how much they did, the server's CPU time, and the time by the clock.
fn spell(server: &Server, workers: &mut [Worker], work: &Work) -> (usize, Duration, Duration) {
    let (before, start) = (server.usage(), Instant::now());
    let count = thread::scope(|scope| {
        let spawn = |worker| scope.spawn(move || repeat(worker, work, start));
        let running: Vec<_> = workers.iter_mut().map(spawn).collect();
        running.into_iter().map(|worker| worker.join().expect("a worker")).sum()
    });
    (count, server.usage().since(&before), start.elapsed())
}

fn repeat(worker: &mut Worker, work: &Work, start: Instant) -> usize {
    let mut count = 0;
    while start.elapsed() < SPELL {
        work(worker);
        count += 1;
    }
    count
}

/// Guests of tenant 0, signed in, with tokens.
fn regulars(server: &Server, folder: &Path) -> Vec<Worker> {
    let app = App::new(ES256, setting::domain(0));
    let browsers = (0..REGULARS).map(|number| {
        let mut browser = Browser::new(at(server));
        let page = ask_for_a_code(&mut browser, &app, &setting::guest(0, number));
        (browser, page)
    });
    let browsers: Vec<_> = browsers.collect();
    let codes = passcodes(&folder.join("mail"), REGULARS);
    let workers = browsers.into_iter().enumerate().map(|(number, (mut browser, page))| {
        let code = redeem(&mut browser, &page, &codes[&setting::guest(0, number)]);
        let (mut connection, cookies) = browser.into_parts();
        let tokens = app.trade(&mut connection, &code);
        let headers = format!("{PERSON}cookie: {cookies}\r\n");
        let (refresh_token, access_token) = (member(&tokens, "refresh_token"), member(&tokens, "access_token"));
        Worker { connection, headers, refresh_token, access_token }
    });
    workers.collect()
}

fn works() -> Vec<(&'static str, Work)> {
    let (es256, rs256) = (App::new(ES256, setting::domain(0)), App::new(RS256, setting::domain(0)));
    let code_flow = |app: &App| -> Work {
        let (app, authorize) = (app.clone(), app.authorize("openid profile email", ""));
        Box::new(move |worker| app.code_flow(&mut worker.connection, &authorize, &worker.headers))
    };
    let get = |target: String| -> Work {
        Box::new(move |worker| {
            worker.connection.send("GET", &target, "accept: application/json\r\n", None).expect(200);
        })
    };
    let refresh: Work = Box::new({
        let app = es256.clone();
        move |worker| {
            let grant = format!("grant_type=refresh_token&refresh_token={}", worker.refresh_token);
            worker.refresh_token = member(&app.token(&mut worker.connection, &grant), "refresh_token");
        }
    });
    let userinfo: Work = Box::new({
        let target = es256.path("oidc/userinfo");
        move |worker| {
            let token = format!("authorization: Bearer {}\r\n", worker.access_token);
            worker.connection.send("GET", &target, &token, None).expect(200);
        }
    });
    let client_credentials: Work = Box::new({
        let app = es256.clone();
        move |worker| {
            let grant = format!("grant_type=client_credentials&scope=http://{}/.default", worker.connection.host);
            app.token(&mut worker.connection, &grant);
        }
    });
    vec![
        ("discovery", get(es256.path("v2.0/.well-known/openid-configuration"))),
        ("keys", get(es256.path("discovery/v2.0/keys"))),
        ("code flow, session, ES256", code_flow(&es256)),
        ("code flow, session, RS256 ID token", code_flow(&rs256)),
        ("refresh with rotation", refresh),
        ("userinfo", userinfo),
        ("client credentials", client_credentials),
    ]
}

/// Guests who were never here, each with a browser of its own, from the app's request to its tokens: in all 18 requests.
fn first_visits(kind: &str, server: &Server, folder: &Path) {
    let mut row = Row::new(format!("first visit, all pages, ES256 ({kind})"));
    for round in 1..=FIRST_VISITS {
        let app = App::new(ES256, setting::domain(round));
        let (before, start) = (server.usage(), Instant::now());
        let mut waiting = Vec::new();
        for number in 0..NEWCOMERS {
            // One network may ask for 30 codes at once.
            let network = Ipv4Addr::new(127, round as u8, (number / 24) as u8, 1);
            let mut browser = Browser::new(Connection::open(server.port, network));
            let page = ask_for_a_code(&mut browser, &app, &setting::guest(round, number));
            waiting.push((browser, page));
        }
        let codes = passcodes(&folder.join("mail"), NEWCOMERS);
        for (number, (mut browser, page)) in waiting.into_iter().enumerate() {
            let code = redeem(&mut browser, &page, &codes[&setting::guest(round, number)]);
            app.trade(&mut browser.into_parts().0, &code);
        }
        row.add(NEWCOMERS, server.usage().since(&before), start.elapsed());
    }
    row.print();
}

/// Visitors whom nobody knows: what they cost, and that they leave nothing behind (checklist D-09).
fn anonymous(kind: &str, server: &mut Server, folder: &Path) {
    let app = App::new(ES256, setting::domain(0));
    let mut workers: Vec<_> = (0..REGULARS).map(|_| Worker::new(at(server), PERSON)).collect();
    let file = || std::fs::metadata(folder.join("data/vestibule.redb")).map_or(0, |file| file.len());
    for (name, target) in [("authorize", app.authorize("openid", "")), ("a direct link", app.link())] {
        let mut row = Row::new(format!("anonymous, {name} ({kind})"));
        let work: Work = Box::new(move |worker| {
            worker.connection.send("GET", &target, &worker.headers, None).expect(303);
        });
        spell(server, &mut workers, &work);
        let before = (server.commits(), file(), server.resident());
        let mut hits = 0;
        for _ in 0..ROUNDS {
            let (count, cpu, clock) = spell(server, &mut workers, &work);
            row.add(count, cpu, clock);
            hits += count;
        }
        row.print();
        let after = (server.commits(), file(), server.resident());
        println!(
            "    {hits} hits: commits {} -> {}, file {} -> {} bytes, memory {} -> {} KiB",
            before.0, after.0, before.1, after.1, before.2, after.2
        );
    }
}

/// The server's own program over a store that is there: how long until it answers, and its memory at rest.
fn start(folder: &Path, pin: bool) {
    let config = folder.join("vestibule.toml");
    let port = std::fs::read_to_string(&config).expect("a file");
    let port = port.split("localhost:").nth(1).and_then(|rest| rest.split('"').next()).and_then(|port| port.parse().ok());
    let port: u16 = port.expect("a port");
    let (mut times, mut memory) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut command = pinned(Path::new(env!("CARGO_BIN_EXE_vestibule")), pin);
        command.args(["serve", "--config"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the server starts");
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            thread::sleep(Duration::from_micros(500));
        }
        let target = format!("/{}/v2.0/.well-known/openid-configuration", setting::domain(0));
        Connection::open(port, Ipv4Addr::LOCALHOST).send("GET", &target, "", None).expect(200);
        times.push(begun.elapsed());
        thread::sleep(Duration::from_millis(500));
        memory = resident(child.id());
        let _ = child.kill();
        let _ = child.wait();
    }
    times.sort();
    println!(
        "start to first answer (embedded): median {:?}, least {:?}, most {:?}",
        times[times.len() / 2],
        times[0],
        times[times.len() - 1]
    );
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_vestibule")).map_or(0, |file| file.len());
    println!("memory at rest {} KiB; program {:.1} MiB", memory, size as f64 / 1_048_576.0);
}
