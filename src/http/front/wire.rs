//! The byte gate: what stands between a socket and the HTTP library.
//!
//! The library repairs much that must be refused (two `Host` fields, bare LF, both framings at once; checklist 6.1). So it
//! only ever gets octets that [`Framing`] has found in order. At a violation it gets, in the place of everything that would
//! follow, one well-formed request of ours, `connection: close`, whose path nobody can guess; answers to earlier requests go
//! out first, and then [`Exchange`](super::exchange::Exchange) knows what to answer. Nothing of the client's is read after
//! that. A violation within a body breaks the connection instead, which the request's handler sees as a broken body.
//!
//! The time limits of reading and writing are kept here as well, because here it is known what a connection waits for.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    Limits, Refusal,
    deadline::Deadline,
    exchange::Connection,
    framing::{Framing, Violation, Waiting},
    head::first_segment,
};
use crate::error::Code;

/// Read at once.
const CHUNK: usize = 8 * 1024;

/// Read and thrown away after a refusal, at most.
const LINGER_BYTES: usize = 256 * 1024;

/// What becomes of the octets that arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// They are judged.
    Open,
    /// They are not read any more, after our own last request.
    Refused,
    /// The body that they belong to is broken.
    Broken,
    /// As if the client had gone.
    Ended,
}

/// What a read waits for; a new value means a new deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Nothing,
    FirstByte,
    Head(u64),
    /// A request after that many.
    Idle(u64),
    /// The end of an HTTP/2 connection that has been told to end.
    GoAway,
}

/// A socket whose octets have been judged.
#[derive(Debug)]
pub(super) struct Wire<S> {
    socket: S,
    connection: Arc<Connection>,
    limits: Arc<Limits>,
    framing: Framing,
    mode: Mode,
    /// Octets that have arrived; the first `approved` of them may be handed on.
    buffer: BytesMut,
    approved: usize,
    wait: Wait,
    reading: Deadline,
    writing: Deadline,
    lingering: Option<usize>,
}

impl<S> Wire<S> {
    pub(super) fn new(socket: S, connection: Arc<Connection>, limits: Arc<Limits>) -> Self {
        Self {
            socket,
            connection,
            limits,
            framing: Framing::new(),
            mode: Mode::Open,
            buffer: BytesMut::new(),
            approved: 0,
            wait: Wait::Nothing,
            reading: Deadline::default(),
            writing: Deadline::default(),
            lingering: None,
        }
    }

    /// Hands over what may be handed over.
    fn hand_over(&mut self, out: &mut ReadBuf<'_>) {
        let count = self.approved.min(out.remaining());
        out.put_slice(&self.buffer[..count]);
        self.buffer.advance(count);
        self.approved -= count;
        if self.buffer.is_empty() {
            // An idle connection holds no memory.
            self.buffer = BytesMut::new();
        }
    }

    /// Judges octets that have just arrived.
    fn arrive(&mut self, bytes: &[u8], out: &mut ReadBuf<'_>) {
        if self.buffer.is_empty() {
            // The usual case: a whole head, or more, that is handed over from where it is.
            let (judged, violation) = self.framing.judge(bytes, &self.limits);
            let count = judged.min(out.remaining());
            out.put_slice(&bytes[..count]);
            self.buffer.extend_from_slice(&bytes[count..]);
            self.approved = judged - count;
            self.refuse_if(violation);
        } else {
            self.buffer.extend_from_slice(bytes);
            let (judged, violation) = self.framing.judge(&self.buffer[self.approved..], &self.limits);
            self.approved += judged;
            self.refuse_if(violation);
        }
    }

    fn refuse_if(&mut self, violation: Option<Violation>) {
        let Some(Violation { refusal, in_body, html }) = violation else { return };
        let refused = self.buffer.split_off(self.approved);
        if in_body {
            // Any other is told of where it is answered.
            tracing::debug!(peer = %self.connection.peer().addr, reason = refusal.reason(), "a request body is cut off");
            self.mode = Mode::Broken;
            return;
        }
        self.mode = Mode::Refused;
        self.buffer.extend_from_slice(self.connection.refuse(refusal, html, first_segment(&refused)).as_bytes());
        self.approved = self.buffer.len();
    }

    /// What is awaited now, and for how long.
    fn wait(&self) -> (Wait, Duration) {
        let limits = &self.limits;
        let (in_flight, served) = self.connection.load();
        match self.framing.waiting(!self.buffer.is_empty()) {
            _ if self.wait == Wait::GoAway => (Wait::GoAway, limits.head),
            Waiting::Start => (Wait::FirstByte, limits.first_byte),
            Waiting::Head(number) => (Wait::Head(number), limits.head),
            // Between the preface and the first request there is no reason to wait longer than for any other head.
            Waiting::Http2 if served == 0 => (Wait::Head(0), limits.head),
            // The library has taken the last answer; the client may still be taking it.
            Waiting::Http2 | Waiting::Request if in_flight == 0 && !self.writing.is_set() => (Wait::Idle(served), limits.idle),
            // A body has its own deadline where it is read.
            Waiting::Http2 | Waiting::Request | Waiting::Body => (Wait::Nothing, Duration::ZERO),
        }
    }

    /// Nothing has come. Ready when nothing has come for too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.wait_for_idle(cx.waker());
        let (wait, limit) = self.wait();
        if wait == Wait::Nothing {
            self.wait = wait;
            self.reading.clear();
            return Poll::Pending;
        }
        if wait != self.wait {
            self.wait = wait;
            self.reading.set(Instant::now() + limit);
        }
        self.reading.poll(cx)
    }

    /// Patience is at its end.
    fn lose_patience(&mut self) {
        let http2 = self.framing.waiting(false) == Waiting::Http2;
        match self.wait {
            Wait::Head(_) if !http2 => {
                let refusal = Refusal::new(Code::TooSlow, "the request head took too long");
                let violation = self.framing.violation(refusal);
                // None of the unfinished head is handed on.
                self.refuse_if(Some(violation));
            }
            Wait::Head(_) | Wait::Idle(_) if http2 => {
                self.connection.expire();
                self.wait = Wait::GoAway;
                self.reading.set(Instant::now() + self.limits.head);
            }
            _ => self.mode = Mode::Ended,
        }
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Reads octets nobody wants, up to a bound. Ready at the end of the stream or of the bound.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.lingering.get_or_insert(LINGER_BYTES);
        let mut scratch = [MaybeUninit::uninit(); CHUNK];
        while *left > 0 {
            let mut read = ReadBuf::uninit(&mut scratch);
            match ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read)) {
                Ok(()) if !read.filled().is_empty() => *left = left.saturating_sub(read.filled().len()),
                _ => *left = 0,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = out.filled().len();
        loop {
            if this.approved > 0 {
                this.hand_over(out);
            }
            if out.filled().len() > before || out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            match this.mode {
                Mode::Open => {}
                Mode::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                Mode::Ended => return Poll::Ready(Ok(())),
                Mode::Refused => {
                    // The end of the stream would cancel answers that are on their way, so it is not told.
                    let _ = this.poll_discard(cx);
                    return Poll::Pending;
                }
            }
            // Octets that need no judging go straight to where they are wanted, if all that fits there is such.
            if this.buffer.is_empty() && this.framing.unseen() >= out.remaining() as u64 {
                match Pin::new(&mut this.socket).poll_read(cx, out) {
                    Poll::Ready(result) => {
                        this.framing.pass((out.filled().len() - before) as u64);
                        return Poll::Ready(result);
                    }
                    Poll::Pending => {
                        ready!(this.poll_patience(cx));
                        this.lose_patience();
                        continue;
                    }
                }
            }
            let mut scratch = [MaybeUninit::uninit(); CHUNK];
            let mut read = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut this.socket).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if read.filled().is_empty() => this.mode = Mode::Ended,
                Poll::Ready(Ok(())) => this.arrive(read.filled(), out),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    ready!(this.poll_patience(cx));
                    this.lose_patience();
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Lets a write that waits fail after a while.
    fn poll_progress<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.writing.is_set() {
                self.writing.clear();
                // The last octet of an answer begins the time of idleness, and that is told to readers only.
                self.connection.wake_reader();
            }
            return written;
        }
        if !self.writing.is_set() {
            self.writing.set(Instant::now() + self.limits.write);
        }
        self.writing.poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(cx, bytes);
        this.poll_progress(cx, written)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write_vectored(cx, slices);
        this.poll_progress(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.socket).poll_flush(cx);
        this.poll_progress(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.socket).poll_shutdown(cx);
        ready!(this.poll_progress(cx, shut))?;
        // Closing a socket with octets unread resets it, and the client may lose the answer it was just sent.
        let unread = matches!(this.mode, Mode::Refused | Mode::Broken) || this.framing.waiting(false) == Waiting::Body;
        if unread {
            if this.wait != Wait::Nothing || !this.reading.is_set() {
                this.wait = Wait::Nothing;
                this.reading.set(Instant::now() + this.limits.linger);
            }
            if this.poll_discard(cx).is_pending() {
                ready!(this.reading.poll(cx));
            }
        }
        Poll::Ready(Ok(()))
    }
}
