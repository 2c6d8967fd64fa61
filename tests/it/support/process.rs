//! The real program, started the way an operator starts it.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use serde::Deserialize;
use tempfile::TempDir;

use super::{mailbox, nginx::Nginx, nodes};

/// How long the program may take to be ready. A debug build on a busy machine generates several RSA keys first.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(90);

/// A child process with its log in a file and a clock that can be put forward. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Mutex<Child>,
    folder: TempDir,
}

impl Process {
    /// Starts `command`; its standard output arrives line by line.
    pub(crate) fn spawn(mut command: Command) -> (Self, mpsc::Receiver<String>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = File::create(folder.path().join("log")).expect("a log file");
        command.env("VESTIBULE_CLOCK_AHEAD", folder.path().join("ahead"));
        // A group of its own, so that everything it starts ends with it.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = child.stdout.take().expect("standard output is a pipe");
        let (sender, lines) = mpsc::channel();
        // Reads to the end, or the child would block on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        (Self { child: Mutex::new(child), folder }, lines)
    }

    /// Starts `command`; returns it and the first line of its standard output that `wanted` accepts.
    pub(crate) fn start(command: Command, wanted: impl Fn(&str) -> bool) -> (Self, String) {
        let name = format!("{command:?}");
        Self::attempt(command, wanted).unwrap_or_else(|log| panic!("{name} did not become ready; its log:\n{log}"))
    }

    /// The same of something that may fail to start; then what it wrote to standard error.
    pub(crate) fn attempt(command: Command, wanted: impl Fn(&str) -> bool) -> Result<(Self, String), String> {
        let (process, lines) = Self::spawn(command);
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if wanted(&line) => return Ok((process, line)),
                Ok(_) => {}
                Err(_) => return Err(process.log()),
            }
        }
    }

    /// What it wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("log")).unwrap_or_default()).into_owned()
    }

    /// Puts its clock forward, if it is ours, instead of waiting for so long.
    pub(crate) fn later(&self, by: Duration) {
        let (ahead, next) = (self.folder.path().join("ahead"), self.folder.path().join("next"));
        let before = std::fs::read_to_string(&ahead).map_or(0, |seconds| seconds.parse().expect("seconds"));
        std::fs::write(&next, (before + by.as_secs()).to_string()).expect("a file");
        std::fs::rename(next, ahead).expect("the file takes its place");
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.lock().expect("not poisoned").id()
    }

    /// Sends `signal` (a name that kill(1) knows) to the process alone.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -s {signal}");
    }

    /// Waits for its end, at most `within`.
    pub(crate) fn wait(&self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.lock().expect("not poisoned").try_wait().expect("wait") {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL, as a power cut would have it.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock().expect("not poisoned");
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = format!("-{}", self.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status();
        self.kill();
    }
}

/// The program under test.
pub(crate) fn vestibule() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vestibule"))
}

/// Runs one command to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    vestibule().args(arguments).stdin(Stdio::null()).output().expect("the program runs")
}

/// Like [`run`], for a command that must succeed; gives its standard output.
pub(crate) fn run_ok(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "vestibule {arguments:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What `vestibule demo --json` prints when it is ready.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Ready {
    pub(crate) base_url: String,
    pub(crate) issuer: String,
    pub(crate) tenant_id: String,
    pub(crate) verified_domain: String,
    pub(crate) mail_dir: PathBuf,
    pub(crate) links: Links,
    pub(crate) app: App,
    pub(crate) people: Vec<Person>,
    pub(crate) admin: Admin,
    /// Only of a demo that starts for the first time.
    pub(crate) invitation: Option<Invited>,
}

/// Somebody who was invited, and the link.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Invited {
    pub(crate) email: String,
    pub(crate) link: String,
}

/// The direct links of product.md section 2.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Links {
    pub(crate) panel_by_id: String,
    pub(crate) panel_by_domain: String,
    pub(crate) app: String,
    pub(crate) app_by_domain: String,
    pub(crate) common: String,
}

/// The sample app and its client.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct App {
    pub(crate) url: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) redirect_uri: String,
}

/// Somebody who can sign in.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) signs_in_with: SignsInWith,
    pub(crate) password: Option<String>,
}

/// How a person of the demo proves who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignsInWith {
    HomeOrganisation,
    OneTimePasscode,
}

/// The administrator's application.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Admin {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

/// A running `vestibule demo`, or what stands for it: several nodes behind a proxy (see [`nodes`](super::nodes)). When it is
/// dropped, no node's log may hold a panic (D-10), an address (W-04), the ticket of a mailed invitation or any
/// of the [secrets](Demo::secret) (O-14).
#[derive(Debug)]
pub(crate) struct Demo {
    pub(super) ready: Ready,
    /// All of them; the first one's data folder is `data`.
    pub(crate) nodes: Vec<Process>,
    pub(super) proxy: Option<Nginx>,
    pub(super) data: DataFolder,
    pub(super) secrets: Mutex<Vec<String>>,
}

/// A folder that outlives a process, and goes with the last one that uses it.
pub(crate) type DataFolder = Arc<TempDir>;

/// An empty one.
pub(crate) fn data_folder() -> DataFolder {
    Arc::new(tempfile::tempdir().expect("a temporary folder"))
}

impl Deref for Demo {
    type Target = Ready;

    fn deref(&self) -> &Ready {
        &self.ready
    }
}

impl Demo {
    /// A fresh one on a spare port, with nobody having signed in yet.
    pub(crate) fn start() -> Self {
        Self::start_on("127.0.0.1:0", data_folder(), &[])
    }

    /// One at this address over this data, with more environment variables. As two nodes where the run asks for it.
    pub(crate) fn start_on(address: &str, data: DataFolder, environment: &[(&str, &str)]) -> Self {
        if let Some(store) = nodes::asked_for() {
            return nodes::demo(address, data, environment, store);
        }
        let (process, ready) = start_demo(&["--listen", address], &data, environment);
        Self { ready, nodes: vec![process], proxy: None, data, secrets: Mutex::default() }
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Whether several nodes stand for it: then one hears a moment later of what was done on another.
    pub(crate) fn is_several(&self) -> bool {
        self.nodes.len() > 1
    }

    /// The process; of several nodes, the first.
    pub(crate) fn process(&self) -> &Process {
        &self.nodes[0]
    }

    /// Puts the clocks of all nodes forward, instead of waiting for so long. Not for a demo that others share.
    pub(crate) fn later(&self, by: Duration) {
        self.nodes.iter().for_each(|node| node.later(by));
    }

    /// The first person who signs in this way.
    pub(crate) fn person(&self, signs_in_with: SignsInWith) -> Person {
        self.people_who(signs_in_with).next().expect("the demo has such a person")
    }

    /// Everybody who signs in this way.
    pub(crate) fn people_who(&self, signs_in_with: SignsInWith) -> impl Iterator<Item = Person> {
        self.ready.people.iter().filter(move |person| person.signs_in_with == signs_in_with).cloned()
    }

    /// The guest who was invited by a link, and signs in with a code.
    pub(crate) fn invited(&self) -> (Person, String) {
        let Invited { email, link } = self.ready.invitation.clone().expect("a demo that started for the first time");
        let (_, ticket) = link.split_once("ticket=").expect("a ticket");
        self.secret(ticket);
        (Person { email, signs_in_with: SignsInWith::OneTimePasscode, password: None }, link)
    }

    /// Notes a secret that may never be seen in the log.
    pub(crate) fn secret(&self, secret: &str) {
        self.secrets.lock().expect("not poisoned").push(secret.to_owned());
    }

    /// The origins whose pages are the provider's own.
    pub(crate) fn origin(&self) -> String {
        url::Url::parse(&self.ready.base_url).expect("base_url").origin().ascii_serialization()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        for node in &self.nodes {
            node.kill();
        }
        if std::thread::panicking() {
            let complaints = self.proxy.as_ref().map(Nginx::log).filter(|log| !log.is_empty());
            if let Some(log) = complaints {
                eprintln!("the proxy's log:\n{log}");
            }
            return;
        }
        for node in &self.nodes {
            let log = node.log();
            assert!(!log.contains("panicked at"), "a panic in the log:\n{log}");
            let odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            for line in log.lines() {
                let dated = line.starts_with("20") && line.as_bytes().get(10) == Some(&b'T');
                // The last words of one that could not start are no event.
                let event = dated || line.starts_with("vestibule: ");
                assert!(event && !line.contains(odd), "W-01: not one line an event: {line:?}");
            }
            for person in &self.ready.people {
                assert!(!log.contains(&person.email), "W-04: an address in the log:\n{log}");
            }
            let tickets = mailbox::tickets(&self.ready.mail_dir);
            for secret in self.secrets.lock().expect("not poisoned").iter().chain(&tickets) {
                assert!(!log.contains(secret.as_str()), "a secret in the log:\n{log}");
            }
        }
    }
}

/// Starts `vestibule demo` and reads what it prints when it is ready.
pub(super) fn start_demo(arguments: &[&str], data: &DataFolder, environment: &[(&str, &str)]) -> (Process, Ready) {
    let mut command = vestibule();
    command.args(["demo", "--json", "--data", text(data.path())]).args(arguments).envs(environment.iter().copied());
    let (process, line) = Process::start(command, |line| line.starts_with('{'));
    let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
    (process, ready)
}

/// An address that is free now, for a server that has to know its own before it starts. Below the ports that the system
/// gives to clients, and each once in a run, so that it is still free when the server takes it.
pub(crate) fn spare_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const PORTS: std::ops::Range<u32> = 22_500..32_500;
    let first = std::process::id().wrapping_mul(389);
    loop {
        let next = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
        let port = u16::try_from(PORTS.start + next).expect("a port");
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().expect("an address");
        }
    }
}

/// `path` as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}
