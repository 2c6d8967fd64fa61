//! A wire between a client and a server that can be slow, dead or cut, and changes while it is in use.
//!
//! It runs on a thread of its own: a test that waits for a process must not hold up the bytes that the process waits for.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

/// What the wire does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Passes them on.
    Pass,
    /// Nobody listens, as after a crash: connections are refused, those that were open are reset.
    Refuse,
    /// Connections are taken and reset at once, those that were open, too.
    Reset,
    /// A peer that is there and says nothing: connections are taken, and bytes vanish towards the server (`up`), towards the
    /// client (`down`), or both.
    Stall { up: bool, down: bool },
    /// Every byte arrives so much later, in order.
    Delay(Duration),
    /// A partition: whatever is sent vanishes, ends of connections included, and nobody is told. A process that is stopped
    /// by a signal is none: what was sent waits for it.
    Cut,
}

impl Mode {
    /// Whether bytes in this direction vanish.
    fn swallows(self, up: bool) -> bool {
        match self {
            Self::Cut => true,
            Self::Stall { up: upward, down } => {
                if up {
                    upward
                } else {
                    down
                }
            }
            _ => false,
        }
    }

    fn delay(self) -> Duration {
        if let Self::Delay(delay) = self { delay } else { Duration::ZERO }
    }
}

/// A wire to one server.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
    count: Arc<Count>,
}

#[derive(Debug, Default)]
struct Count {
    connections: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

impl Wire {
    /// To the server at `target`, on a port of its own.
    pub(crate) fn to(target: SocketAddr) -> Self {
        Self::at(super::process::spare_address(), target)
    }

    /// The same on an address that somebody has to know beforehand.
    pub(crate) fn at(address: SocketAddr, target: SocketAddr) -> Self {
        let (mode, receiver) = watch::channel(Mode::Pass);
        let count = Arc::new(Count::default());
        let line = Line { target, mode: receiver, count: Arc::clone(&count) };
        let (started, starts) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind(address).await.expect("a port for the wire");
                started.send(()).expect("somebody waits");
                line.serve(address, listener).await;
            });
        });
        starts.recv().expect("the wire starts");
        Self { address, mode, count }
    }

    /// From now on.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Connections that were taken so far.
    pub(crate) fn connections(&self) -> u64 {
        self.count.connections.load(Relaxed)
    }

    /// Bytes that were passed on so far, towards the server and towards the client.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.count.up.load(Relaxed), self.count.down.load(Relaxed))
    }
}

/// The far end of a [`Wire`]; ends with it.
#[derive(Clone, Debug)]
struct Line {
    target: SocketAddr,
    mode: watch::Receiver<Mode>,
    count: Arc<Count>,
}

impl Line {
    async fn serve(mut self, address: SocketAddr, listener: TcpListener) {
        let mut listener = Some(listener);
        loop {
            let mode = *self.mode.borrow_and_update();
            listener = match listener {
                _ if mode == Mode::Refuse => None,
                None => Some(bind_again(address).await),
                bound => bound,
            };
            let accepted = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.mode.changed() => if changed.is_err() { return },
                Ok((client, _)) = accepted => {
                    self.count.connections.fetch_add(1, Relaxed);
                    tokio::spawn(self.clone().connection(client));
                }
            }
        }
    }

    /// One connection, from its beginning to its end.
    async fn connection(mut self, client: TcpStream) {
        let mode = *self.mode.borrow_and_update();
        let ends = if matches!(mode, Mode::Reset | Mode::Refuse) {
            vec![client]
        } else if mode == Mode::Cut {
            // The client believes in this connection; the server never heard of it.
            let _ = self.mode.changed().await;
            vec![client]
        } else {
            let Ok(server) = TcpStream::connect(self.target).await else { return reset(&[client]) };
            for end in [&client, &server] {
                let _ = end.set_nodelay(true);
            }
            match self.pass(&client, &server).await {
                End::Orderly => return,
                End::Abrupt => vec![client, server],
            }
        };
        reset(&ends);
    }

    async fn pass(&self, client: &TcpStream, server: &TcpStream) -> End {
        let lost = AtomicBool::new(false);
        tokio::select! {
            () = self.pump(client, server, true, &lost) => End::Orderly,
            () = self.pump(server, client, false, &lost) => End::Orderly,
            () = self.broken(&lost) => End::Abrupt,
        }
    }

    /// Waits until this connection cannot go on: it is to be reset, or bytes would flow again and some are missing.
    async fn broken(&self, lost: &AtomicBool) {
        let mut mode = self.mode.clone();
        let gone = mode.wait_for(|mode| match mode {
            Mode::Refuse | Mode::Reset => true,
            mode => !mode.swallows(true) && !mode.swallows(false) && lost.load(Relaxed),
        });
        let _ = gone.await;
    }

    /// Carries bytes in one direction until its end is heard of.
    async fn pump(&self, from: &TcpStream, to: &TcpStream, up: bool, lost: &AtomicBool) {
        let (sender, mut chunks) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let read = async move {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let read = receive(from, &mut buffer).await.unwrap_or(0);
                let mode = *self.mode.borrow();
                if mode.swallows(up) {
                    lost.store(true, Relaxed);
                    if read == 0 {
                        // Its end is not heard of, either.
                        std::future::pending::<()>().await;
                    }
                } else if read == 0 {
                    return;
                } else {
                    let _ = sender.send((Instant::now() + mode.delay(), buffer[..read].to_vec()));
                }
            }
        };
        let write = async {
            while let Some((at, chunk)) = chunks.recv().await {
                sleep_until(at).await;
                // What was on its way when the wire was cut does not arrive, either.
                if self.mode.borrow().swallows(up) {
                    lost.store(true, Relaxed);
                    continue;
                }
                let counted = if up { &self.count.up } else { &self.count.down };
                counted.fetch_add(chunk.len() as u64, Relaxed);
                if send(to, &chunk).await.is_err() {
                    return;
                }
            }
        };
        // What came before the end is delivered before it: the reader's end closes the queue, and the writer empties it.
        let read_on = async {
            read.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = read_on => {}
            () = write => {}
        }
    }
}

/// How a connection ended.
enum End {
    Orderly,
    Abrupt,
}

async fn receive(from: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        from.readable().await?;
        match from.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

async fn send(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Closes with a reset instead of an end.
fn reset(ends: &[TcpStream]) {
    for end in ends {
        let _ = end.set_zero_linger();
    }
}

async fn bind_again(address: SocketAddr) -> TcpListener {
    for _ in 0..200 {
        if let Ok(listener) = TcpListener::bind(address).await {
            return listener;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("the wire's port {address} was taken by somebody else")
}
