//! The server's own program, as it is started in production.

use std::{
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use vestibule::config::Config;

use super::{
    client::Connection,
    process::{Usage, pinned, resident},
    setting,
};

/// The program.
pub(crate) const VESTIBULE: &str = env!("CARGO_BIN_EXE_vestibule");

/// A running server.
pub(crate) struct Program {
    child: Child,
    pub(crate) port: u16,
    /// How long it took until it answered.
    pub(crate) started: Duration,
}

impl Program {
    /// Starts it over a folder, and waits until it answers.
    pub(crate) fn start(folder: &Path, pin: bool) -> Self {
        let config = configuration(folder);
        let port = Config::load(&config).expect("a configuration").listen[0].address.port();
        let begun = Instant::now();
        let mut command = pinned(Path::new(VESTIBULE), pin);
        command.args(["serve", "--config"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("the server starts");
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            thread::sleep(Duration::from_micros(500));
        }
        let target = format!("/{}/v2.0/.well-known/openid-configuration", setting::domain(0));
        let mut connection = Connection::open(port, Ipv4Addr::LOCALHOST);
        // Until it is open it says that it is not ready.
        while connection.send("GET", &target, "", None).status != 200 {
            thread::sleep(Duration::from_millis(1));
            connection = Connection::open(port, Ipv4Addr::LOCALHOST);
        }
        Self { child, port, started: begun.elapsed() }
    }

    pub(crate) fn connection(&self) -> Connection {
        Connection::open(self.port, Ipv4Addr::LOCALHOST)
    }

    /// The CPU time of its threads so far.
    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }

    /// Its memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        resident(self.child.id())
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()), "it can be asked to stop");
        let _ = self.child.wait();
    }

    /// Ends it as a power cut does.
    pub(crate) fn cut_off(mut self) {
        self.kill();
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The configuration file of a folder.
pub(crate) fn configuration(folder: &Path) -> PathBuf {
    folder.join("vestibule.toml")
}
