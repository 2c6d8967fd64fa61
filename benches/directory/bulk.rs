//! Inviting many over HTTP: one by one, in batches of twenty, and a whole file from the command line.

use std::{
    fmt::Write,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    Bench, Figures, ROUNDS,
    client::Connection,
    guest::{App, member},
    program::{Program, VESTIBULE, configuration},
    setting::{self, ES256},
};

/// Invitations of one tenant in a round: it may have 150 in 5 s.
const OF_A_TENANT: usize = 140;
const BATCH: usize = 20;
const TENANTS: usize = 8;
/// How long until a tenant may invite as many again.
const REST: Duration = Duration::from_secs(5);
/// Rows of a file.
const ROWS: usize = 5_000;

fn invitation(round: usize, number: usize) -> String {
    let mail = format!("guest{number}@round{round}.example");
    format!("{{\"invitedUserEmailAddress\":\"{mail}\",\"inviteRedirectUrl\":\"https://app.example/\"}}")
}

/// What an app does in a round.
type Work = fn(&mut Inviter, usize);

/// A tenant's app at a server.
struct Inviter {
    connection: Connection,
    headers: String,
}

impl Inviter {
    fn new(program: &Program, tenant: usize) -> Self {
        let mut connection = program.connection();
        let grant = format!("grant_type=client_credentials&scope=http://{}/.default", connection.host);
        let answer = App::new(ES256, setting::domain(tenant)).token(&mut connection, &grant);
        let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", member(&answer, "access_token"));
        Self { connection, headers }
    }

    fn one_by_one(&mut self, round: usize) {
        for number in 0..OF_A_TENANT {
            let body = invitation(round, number);
            self.connection.send("POST", "/v1.0/invitations", &self.headers, Some(&body)).expect(201);
        }
    }

    fn in_batches(&mut self, round: usize) {
        for first in (0..OF_A_TENANT).step_by(BATCH) {
            let items: Vec<_> = (first..first + BATCH)
                .map(|number| {
                    let body = invitation(round, number);
                    format!(
                        "{{\"id\":\"{number}\",\"method\":\"POST\",\"url\":\"/invitations\",\
                         \"headers\":{{\"content-type\":\"application/json\"}},\"body\":{body}}}"
                    )
                })
                .collect();
            let body = format!("{{\"requests\":[{}]}}", items.join(","));
            let answer = self.connection.send("POST", "/v1.0/$batch", &self.headers, Some(&body)).expect(200);
            assert_eq!(answer.body.matches("\"status\":201").count(), BATCH, "{}", answer.body);
        }
    }
}

/// Requests of one invitation and batches of twenty, by one app and by one of each of eight tenants.
pub(crate) fn over_http(bench: &Bench) {
    let folder = bench.folder();
    setting::write(folder.path(), TENANTS, 0);
    apply(folder.path());
    let program = Program::start(folder.path(), bench.pin);
    let mut inviters: Vec<_> = (0..TENANTS).map(|tenant| Inviter::new(&program, tenant)).collect();
    println!("{:<44} {:>26} {:>26}", "invitations over HTTP", "a second", "a second of server CPU");
    let works: [(&str, Work); 2] = [("one by one", Inviter::one_by_one), ("$batch of 20", Inviter::in_batches)];
    let mut rounds = 0;
    for (name, work) in works {
        for at_once in [1, TENANTS] {
            let (mut by_clock, mut by_cpu) = (Figures::default(), Figures::default());
            for _ in 0..ROUNDS {
                thread::sleep(REST);
                rounds += 1;
                let (before, begun) = (program.usage(), Instant::now());
                // One after the other, or all at once.
                for some in inviters.chunks_mut(at_once) {
                    thread::scope(|scope| {
                        for inviter in some {
                            scope.spawn(move || work(inviter, rounds));
                        }
                    });
                }
                let invited = (TENANTS * OF_A_TENANT) as f64;
                by_clock.add(invited / begun.elapsed().as_secs_f64());
                by_cpu.add(invited / program.usage().since(&before).as_secs_f64());
            }
            println!("{:<44} {by_clock:>26} {by_cpu:>26}", format!("{name}, {at_once} at once"));
        }
    }
    drop(inviters);
    program.stop();
}

/// `vestibule guest import` through the administration socket.
pub(crate) fn files(bench: &Bench) {
    let folder = bench.folder();
    setting::write(folder.path(), 0, 0);
    apply(folder.path());
    let program = Program::start(folder.path(), bench.pin);
    let rows = bench.of(ROWS);
    for mail in [false, true] {
        let (mut rate, mut cpu, mut memory) = (Figures::default(), Figures::default(), Figures::default());
        let before = program.resident();
        for round in 0..ROUNDS {
            let file = folder.path().join(format!("guests-{mail}-{round}.csv"));
            let mut text = "version:v1.0\n[inviteeEmail],[inviteRedirectURL],[sendEmail],[customizedMessageBody]\n".to_owned();
            for row in 0..rows {
                writeln!(text, "row{row}@{mail}{round}.example,https://app.example/,{mail},").expect("text");
            }
            fs::write(&file, text).expect("a file");
            let (used, begun) = (program.usage(), Instant::now());
            memory.add(import(folder.path(), &file) as f64 / 1024.0);
            rate.add(rows as f64 / begun.elapsed().as_secs_f64());
            cpu.add(rows as f64 / program.usage().since(&used).as_secs_f64());
        }
        println!(
            "guest import of {rows} rows, mail: {mail}: {rate} rows/s, {cpu} a second of server CPU; the command's memory at most \
             {memory} MiB; the server's {:.1} -> {:.1} MiB",
            before as f64 / 1024.0,
            program.resident() as f64 / 1024.0
        );
    }
    program.stop();
}

/// Runs the import; gives the most memory that it had, in KiB.
fn import(folder: &Path, file: &Path) -> u64 {
    let mut command = Command::new(VESTIBULE);
    command.args(["guest", "import"]).arg(file).args(["--tenant", &setting::domain(0), "--config"]).arg(configuration(folder));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("the command starts");
    let mut most = 0;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success(), "all rows are imported");
            return most;
        }
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(most);
        thread::sleep(Duration::from_millis(5));
    }
}

/// Brings the tenants of a folder into its store.
fn apply(folder: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("the runtime starts");
    super::fill::open(&runtime, folder);
}
