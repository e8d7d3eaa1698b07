//! The one seam between a stream and what carries its bytes: a socket, bytes in memory, later TLS or a coroutine's wait.
//!
//! It is asked once a refill or a flush, never once a byte.

use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use std::{fmt, io};

use rustix::net::{RecvFlags, SendFlags};
use socket2::Socket;

/// How long, and how much, a peer may go on talking after the end before its socket is closed: promise 5.
pub(crate) const LINGER_BYTES: usize = 64 << 10;

/// Why a socket is not closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linger {
    /// Its peer talks, or a long reply is on its way: closing it would lose that.
    Talking,
    /// Its peer has said nothing yet. Its first words may be on their way, and should not be answered by a reset.
    Quiet,
}

impl Linger {
    pub(crate) fn time(self) -> Duration {
        match self {
            Self::Talking => Duration::from_secs(2),
            Self::Quiet => Duration::from_millis(250),
        }
    }
}

/// Whether a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until there is something, or [`Transport::set_timeout`] has passed; then the error is `WouldBlock`.
    Block,
    /// Not at all: the error is `WouldBlock` then.
    Not,
}

/// What carries the bytes of a stream: one end of a connection, read and written by two threads at most.
///
/// Written for own transports: hand one to [`Incoming::stream`](crate::Incoming::stream) in an own
/// [`Listener`](crate::Listener). A transport without a descriptor must end a blocking [`recv`](Self::recv) when another
/// thread calls [`shutdown`](Self::shutdown): that is how a server's own shutdown reaches it.
pub trait Transport: Send + Sync + fmt::Debug + 'static {
    /// Receives at most `buffer.len()` bytes and returns how many; zero is the end.
    ///
    /// # Errors
    ///
    /// `WouldBlock` as [`Wait`] says, `Interrupted` to be called again, or what ended the connection.
    fn recv(&self, buffer: &mut [u8], wait: Wait) -> io::Result<usize>;

    /// Sends at least one of `bytes` and returns how many.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); a peer that has left is a `BrokenPipe`, never a signal.
    fn send(&self, bytes: &[u8], wait: Wait) -> io::Result<usize>;

    /// Ends one direction or both. A `recv` or `send` that waits in another thread returns.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer has left already.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// Bounds how long a blocking call waits, from the next call on.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Returns a descriptor that polls as this transport does, if it has one.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

/// Output that waits until its transport takes more; the accept loop sends it then.
pub(crate) trait Unsent: Send + Sync + fmt::Debug {
    /// Sends what the transport takes now; returns whether something is left.
    fn send_more(&self) -> bool;

    /// Whether the request is alive.
    fn is_open(&self) -> bool;

    /// Calls `with` with the descriptor to wait for, unless the request has ended.
    fn with_fd(&self, with: &mut dyn FnMut(BorrowedFd<'_>));
}

impl Transport for Socket {
    fn recv(&self, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        let flags = match wait {
            Wait::Block => RecvFlags::empty(),
            Wait::Not => RecvFlags::DONTWAIT,
        };
        let (count, _) = rustix::net::recv(self, buffer, flags)?;
        Ok(count)
    }

    fn send(&self, bytes: &[u8], wait: Wait) -> io::Result<usize> {
        let flags = match wait {
            Wait::Block => SendFlags::NOSIGNAL,
            Wait::Not => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        };
        Ok(rustix::net::send(self, bytes, flags)?)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Socket::shutdown(self, how)
    }

    fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(timeout)?;
        self.set_write_timeout(timeout)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(AsFd::as_fd(self))
    }
}

impl AsFd for dyn Transport {
    /// # Panics
    ///
    /// Panics if the transport has no descriptor; ask [`Transport::descriptor`] first.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor().expect("this transport has no descriptor")
    }
}
