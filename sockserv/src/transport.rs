//! The one seam between a stream and what carries its bytes: a socket, bytes in memory, later TLS or a coroutine's wait.
//!
//! It is asked once a refill or a flush, never once a byte.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use socket2::{Domain, Socket};

use crate::sys::clock::at_least_a_micro;

/// How many bytes a peer may go on sending after the end before its socket is closed: promise 5. For how long,
/// [`Linger::time`] says.
pub(crate) const LINGER_BYTES: usize = 64 << 10;

/// How many descriptors one message may carry: unix(7), `SCM_MAX_FD`.
const MOST_FDS: usize = 253;

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

impl Wait {
    fn to_recv(self) -> RecvFlags {
        match self {
            Self::Block => RecvFlags::empty(),
            Self::Not => RecvFlags::DONTWAIT,
        }
    }

    pub(crate) fn to_send(self) -> SendFlags {
        match self {
            Self::Block => SendFlags::NOSIGNAL,
            Self::Not => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        }
    }
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

    /// Returns whether descriptors can be passed along with the bytes: a Unix socket does that. By default they cannot.
    fn carries_fds(&self) -> bool {
        false
    }

    /// Receives as [`recv`](Self::recv) does, and gives each descriptor that came with the bytes to `take`, at most `most`
    /// of them; what comes beyond that is closed. An error for `take` says that one came and could not be had, because too
    /// many files are open for instance. Called only if the transport [carries](Self::carries_fds) descriptors.
    ///
    /// # Errors
    ///
    /// As for `recv`; `Unsupported` by default.
    fn recv_with_fds(
        &self,
        buffer: &mut [u8],
        most: usize,
        take: &mut dyn FnMut(io::Result<OwnedFd>),
        wait: Wait,
    ) -> io::Result<usize> {
        let _ = (buffer, most, take, wait);
        Err(no_fds())
    }

    /// Sends at least one of `bytes` with a descriptor on the first one and returns how many. Called only if the transport
    /// [carries](Self::carries_fds) descriptors.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send); `Unsupported` by default.
    fn send_with_fd(&self, bytes: &[u8], fd: BorrowedFd<'_>, wait: Wait) -> io::Result<usize> {
        let _ = (bytes, fd, wait);
        Err(no_fds())
    }
}

/// Reads and forgets what has come, until `left` bytes are used up; returns whether more may come.
pub(crate) fn drain(transport: &dyn Transport, left: &mut usize) -> bool {
    let mut sink = [0; 4096];
    while *left > 0 {
        match transport.recv(&mut sink, Wait::Not) {
            Ok(0) => return false,
            Ok(count) => *left = left.saturating_sub(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
    false
}

/// What the users of a transport that carries no descriptors are told.
pub(crate) fn no_fds() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "descriptors can be passed over a Unix stream only",
    )
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
        let (count, _) = rustix::net::recv(self, buffer, wait.to_recv())?;
        Ok(count)
    }

    fn send(&self, bytes: &[u8], wait: Wait) -> io::Result<usize> {
        Ok(rustix::net::send(self, bytes, wait.to_send())?)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let how = match how {
            Shutdown::Read => rustix::net::Shutdown::Read,
            Shutdown::Write => rustix::net::Shutdown::Write,
            Shutdown::Both => rustix::net::Shutdown::Both,
        };
        Ok(rustix::net::shutdown(self, how)?)
    }

    fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(at_least_a_micro);
        self.set_read_timeout(timeout)?;
        self.set_write_timeout(timeout)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(AsFd::as_fd(self))
    }

    fn carries_fds(&self) -> bool {
        // Another socket would not refuse: it sends the bytes and forgets the descriptor.
        self.domain().is_ok_and(|domain| domain == Domain::UNIX)
    }

    fn recv_with_fds(
        &self,
        buffer: &mut [u8],
        most: usize,
        take: &mut dyn FnMut(io::Result<OwnedFd>),
        wait: Wait,
    ) -> io::Result<usize> {
        let most = most.min(MOST_FDS);
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let room = match most {
            0 => &mut [][..], // The kernel closes what comes.
            most => &mut room[..rustix::cmsg_space!(ScmRights(most))],
        };
        let mut control = RecvAncillaryBuffer::new(room);
        let flags = wait.to_recv() | RecvFlags::CMSG_CLOEXEC;
        let got = rustix::net::recvmsg(self, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
        let mut count = 0;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                for fd in fds {
                    // For the sake of its alignment the room may hold one or two more, which are closed here.
                    if count < most {
                        take(Ok(fd));
                    }
                    count += 1;
                }
            }
        }
        if got.flags.contains(ReturnFlags::CTRUNC) && count < most {
            take(Err(Errno::MFILE.into())); // There was room: it is the process that may not have more. unix(7)
        }
        Ok(got.bytes)
    }

    fn send_with_fd(&self, bytes: &[u8], fd: BorrowedFd<'_>, wait: Wait) -> io::Result<usize> {
        let fds = [fd];
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut room);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let bytes = [IoSlice::new(bytes)];
        Ok(rustix::net::sendmsg(
            self,
            &bytes,
            &mut control,
            wait.to_send(),
        )?)
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
