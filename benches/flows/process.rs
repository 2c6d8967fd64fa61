//! The server as a process of its own: started on one core, its CPU time and memory read from `/proc`.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

/// The core of servers; the driver has the others.
const SERVER_CORE: &str = "0";

/// Keeps this process off the servers' core. On a machine with one core, or without `taskset`, they share.
pub(crate) fn keep_off_the_servers_core() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let others = format!("1-{}", cores - 1);
    let pin = || Command::new("taskset").args(["-a", "-c", "-p", &others, &std::process::id().to_string()]).output();
    cores > 1 && pin().is_ok_and(|output| output.status.success())
}

/// A program pinned to the servers' core.
pub(crate) fn pinned(program: &Path, pin: bool) -> Command {
    if !pin {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command
}

/// A server of this benchmark.
pub(crate) struct Server {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

impl Server {
    /// Starts this very program as a server of `kind` over `folder`, and waits until it listens.
    pub(crate) fn start(kind: &str, folder: &Path, pin: bool) -> Self {
        let this = std::env::current_exe().expect("a program");
        let mut command = pinned(&this, pin);
        command.arg("--serve").arg(kind).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let asks = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut server = Self { child, asks, answers, port: 0 };
        server.port = server.number();
        server
    }

    fn number<T: std::str::FromStr>(&mut self) -> T {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        line.trim().parse().unwrap_or_else(|_| panic!("the server said {line:?}"))
    }

    /// How many commits its store has seen.
    pub(crate) fn commits(&mut self) -> u64 {
        self.asks.write_all(b"commits\n").expect("the server listens");
        self.number()
    }

    /// The CPU time that its threads have taken so far.
    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }

    /// Its memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        resident(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The resident memory of a process, in KiB.
pub(crate) fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The time on a processor, in user and kernel, of every thread of a process: in nanoseconds, where `/proc/<pid>/stat`
/// counts in hundredths of a second.
pub(crate) struct Usage(HashMap<String, u64>);

impl Usage {
    pub(crate) fn of(process: u32) -> Self {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("a process");
        let read = |task: fs::DirEntry| {
            let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            Some((task.file_name().into_string().ok()?, schedstat.split(' ').next()?.parse().ok()?))
        };
        Self(tasks.flatten().filter_map(read).collect())
    }

    /// What was used since `before`. A thread that has ended meanwhile does not count: those that serve do not end.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let used = |(task, now): (&String, &u64)| now - before.0.get(task).copied().unwrap_or(0);
        Duration::from_nanos(self.0.iter().map(used).sum())
    }
}

/// The CPU time of this thread.
pub(crate) fn of_this_thread() -> Duration {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").expect("/proc");
    Duration::from_nanos(schedstat.split(' ').next().and_then(|time| time.parse().ok()).expect("a number"))
}
