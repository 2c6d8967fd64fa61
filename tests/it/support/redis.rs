//! Redis servers: those that all tests share (`tests/servers` starts them), and those that one test owns, to kill, stop
//! and cut off as it likes.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::process::{Process, spare_address};

/// How long a server may take to be there, and a Sentinel set to agree.
const WITHIN: Duration = Duration::from_secs(30);
/// What no test may lose: as an operator is told to set it.
const DURABLE: &[&str] =
    &["appendonly yes", "appendfsync always", "save \"\"", "maxmemory-policy noeviction", "shutdown-timeout 0"];
/// A replica is heard from every second, and does not wait for others.
const REPLICATED: &[&str] = &["repl-diskless-sync-delay 0", "repl-ping-replica-period 1", "repl-timeout 5"];
/// The primary takes no writes unless a replica is there.
const GUARDED: &[&str] = &["min-replicas-to-write 1", "min-replicas-max-lag 2"];

/// The URL of a server that all tests share, by the name of its environment variable, with a namespace of the test's own.
pub(crate) fn shared(variable: &str, namespace: &str) -> String {
    let url = std::env::var_os(variable).and_then(|url| url.into_string().ok());
    let url = url.unwrap_or_else(|| panic!("{variable} is not set: `tests/servers start DIR`, then `. DIR/env`"));
    let replaced = url.replacen("namespace=test", &format!("namespace={namespace}"), 1);
    assert_ne!(replaced, url, "{variable} names a namespace to be replaced");
    replaced
}

/// A server of one test. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) address: SocketAddr,
    folder: TempDir,
    program: &'static str,
    process: Mutex<Option<Process>>,
}

impl Redis {
    /// One alone, as an operator should have it.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more lines of configuration, which win.
    pub(crate) fn start_with(lines: &[&str]) -> Self {
        Self::start_at(spare_address(), lines)
    }

    /// One at an address that somebody knows already.
    pub(crate) fn start_at(address: SocketAddr, lines: &[&str]) -> Self {
        Self::launch("redis-server", address, &[DURABLE, lines].concat())
    }

    /// A replica of the server at `primary`, which may be a wire to it.
    pub(crate) fn replica_of(primary: SocketAddr, lines: &[&str]) -> Self {
        let follow = format!("replicaof {} {}", primary.ip(), primary.port());
        Self::start_with(&[REPLICATED, &[follow.as_str()], lines].concat())
    }

    fn launch(program: &'static str, address: SocketAddr, lines: &[&str]) -> Self {
        let folder = folder();
        let (path, port) = (folder.path().display(), address.port());
        let lines = lines.join("\n");
        let config = format!("bind 127.0.0.1\nport {port}\ndir {path}\nlogfile {path}/log\n{lines}\n");
        std::fs::write(folder.path().join("conf"), config).expect("a file");
        let server = Self { address, folder, program, process: Mutex::new(None) };
        server.start_again();
        server
    }

    /// Once more after it ended, on the same port and with what it had written.
    pub(crate) fn start_again(&self) {
        let mut command = Command::new(self.program);
        command.arg(self.folder.path().join("conf"));
        let (process, _) = Process::spawn(command);
        let deadline = Instant::now() + WITHIN;
        while self.try_cli(&["ping"]).as_deref() != Some("PONG") {
            let ended = process.wait(Duration::ZERO);
            assert!(ended.is_none() && Instant::now() < deadline, "{}: {ended:?}\n{}", self.program, self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        *self.process.lock().expect("not poisoned") = Some(process);
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The folder it works in.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        // its end is waited for
        drop(self.process.lock().expect("not poisoned").take());
    }

    /// Stops the process in its tracks. What is sent meanwhile waits for it: no partition (see [`Wire`](super::wire::Wire)).
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        self.process.lock().expect("not poisoned").as_ref().expect("it runs").signal(signal);
    }

    /// Changes a setting of the running server.
    pub(crate) fn config_set(&self, name: &str, value: &str) {
        assert_eq!(self.cli(&["config", "set", name, value]), "OK", "{name} {value}");
    }

    /// Asks it something, straight from here.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        self.try_cli(arguments).unwrap_or_else(|| panic!("{arguments:?}: no answer\n{}", self.log()))
    }

    /// The same of a server that may be away.
    pub(crate) fn try_cli(&self, arguments: &[&str]) -> Option<String> {
        let port = self.address.port().to_string();
        let output = Command::new("redis-cli").args(["-h", "127.0.0.1", "-p", &port]).args(arguments).output();
        let output = output.expect("redis-cli is installed");
        let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        (output.status.success() && !said.is_empty()).then_some(said)
    }

    /// A line of `INFO`.
    pub(crate) fn info(&self, name: &str) -> Option<String> {
        let info = self.try_cli(&["info"])?;
        info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':').map(str::to_owned))
    }

    /// As the only server.
    pub(crate) fn url(&self) -> String {
        url_at(self.address)
    }
}

/// A server's URL, or a wire's to it.
pub(crate) fn url_at(address: SocketAddr) -> String {
    format!("redis://{address}?namespace=own")
}

/// In memory where that is possible: every write is synced.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { PathBuf::from(memory) } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("vestibule-redis-").tempdir_in(base).expect("a temporary folder")
}

/// A primary, a replica and three Sentinels of one test.
#[derive(Debug)]
pub(crate) struct Sentinels {
    /// The primary, the replica; failovers change their roles.
    pub(crate) servers: [Redis; 2],
    sentinels: Vec<Redis>,
}

impl Sentinels {
    /// All of them, ready for a failover.
    pub(crate) fn start() -> Self {
        let address = spare_address();
        Self::start_behind(address, address)
    }

    /// The primary listens on `primary`; the replica and the Sentinels, and so everybody they tell, reach it at `told`, which
    /// may be a wire.
    pub(crate) fn start_behind(primary: SocketAddr, told: SocketAddr) -> Self {
        let primary = Redis::start_at(primary, &[REPLICATED, GUARDED].concat());
        let replica = Redis::replica_of(told, GUARDED);
        let monitor = format!("sentinel monitor vestibule {} {} 2", told.ip(), told.port());
        let lines = [
            monitor.as_str(),
            "sentinel down-after-milliseconds vestibule 1000",
            "sentinel failover-timeout vestibule 3000",
            "sentinel parallel-syncs vestibule 1",
        ];
        let sentinels = (0..3).map(|_| Redis::launch("redis-sentinel", spare_address(), &lines)).collect();
        let set = Self { servers: [primary, replica], sentinels };
        set.until("agreed", || set.sentinels.iter().all(knows_everybody));
        set.until("replicated", || set.servers[1].info("master_link_status").as_deref() == Some("up"));
        set.until("guarded", || set.servers[0].cli(&["set", "started", "yes"]) == "OK");
        set
    }

    fn until(&self, what: &str, so: impl Fn() -> bool) {
        let deadline = Instant::now() + WITHIN;
        while !so() {
            let logs: Vec<_> = self.servers.iter().chain(&self.sentinels).map(Redis::log).collect();
            assert!(Instant::now() < deadline, "not {what}:\n{}", logs.join("\n==\n"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Which address the Sentinels name.
    pub(crate) fn told(&self) -> SocketAddr {
        address_of(&self.sentinels[0]).expect("the Sentinel knows")
    }

    /// The primary that the Sentinels name, of those that tests know directly.
    pub(crate) fn primary(&self) -> &Redis {
        let told = self.told();
        self.servers.iter().find(|server| server.address == told).expect("one of the two")
    }

    /// Planned: asks for it, and waits until it is done and all Sentinels say so.
    pub(crate) fn failover(&self) {
        let before = self.told();
        // A Sentinel refuses while the last one is not quite over.
        self.until("begun", || self.sentinels[0].cli(&["sentinel", "failover", "vestibule"]) == "OK");
        self.until_moved_from(before);
    }

    /// Kills the primary; gives its address, once all Sentinels name another.
    pub(crate) fn kill_primary(&self) -> &Redis {
        let old = self.primary();
        old.kill();
        self.until_moved_from(old.address);
        old
    }

    /// Waits until all Sentinels name another address than this one, and it takes the part.
    pub(crate) fn until_moved_from(&self, old: SocketAddr) {
        let moved = |sentinel: &Redis| address_of(sentinel).is_some_and(|address| address != old);
        self.until("moved", || self.sentinels.iter().all(moved));
        self.until("promoted", || {
            self.servers.iter().any(|server| server.address == self.told() && server.info("role").as_deref() == Some("master"))
        });
    }

    /// Waits until what the primary writes is at the other server. That the primary takes writes again says little: it
    /// counts a replica that has not even begun to listen (up to a second after a full copy).
    pub(crate) fn until_followed(&self) {
        let stamp = super::random();
        // Asked anew each time: on a busy machine Sentinels may change their mind once more.
        self.until("writable", || self.primary().cli(&["set", "stamp", &stamp]) == "OK");
        self.until("followed", || self.servers.iter().all(|server| server.try_cli(&["get", "stamp"]).as_ref() == Some(&stamp)));
    }

    /// Their URL.
    pub(crate) fn url(&self) -> String {
        let addresses: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.address.to_string()).collect();
        format!("redis+sentinel://{}/vestibule?namespace=own", addresses.join(","))
    }
}

fn knows_everybody(sentinel: &Redis) -> bool {
    let said = sentinel.cli(&["sentinel", "master", "vestibule"]);
    let lines: Vec<_> = said.lines().collect();
    let value = |name: &str| lines.iter().position(|line| *line == name).and_then(|at| lines.get(at + 1).copied());
    (value("flags"), value("num-slaves"), value("num-other-sentinels")) == (Some("master"), Some("1"), Some("2"))
}

fn address_of(sentinel: &Redis) -> Option<SocketAddr> {
    let said = sentinel.try_cli(&["sentinel", "get-master-addr-by-name", "vestibule"])?;
    let (host, port) = said.split_once('\n')?;
    format!("{host}:{port}").parse().ok()
}
