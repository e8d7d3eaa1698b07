//! Where requests come from: [`Listener`], what it hands out ([`Incoming`]), and what a failed accept means.

pub(crate) mod connection;
mod guarded;
pub(crate) mod intake;
pub(crate) mod packets;
mod path;
pub(crate) mod place;
pub(crate) mod streams;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rustix::io::Errno;
use socket2::{SockRef, Socket};

use crate::address::{Address, Kind};
use crate::credentials::Credentials;
use crate::transport::Transport;
use guarded::Guarded;
use packets::Packet;

/// Where a server takes its requests from: Python's `get_request`, F35.
///
/// Requests need not come from a socket that the server opened, nor from a socket at all. Name an own listener in the
/// attribute, in place of a transport: `#[server(threading, listener = Queue)]`.
///
/// | | |
/// |---|---|
/// | limits, `allow` and `deny`, `verify_request`, deadlines, statistics | as for other servers; the peer is the [`Address`] that `accept` returns |
/// | a shutdown | `accept` is called no more, and requests drain. The listener is not closed: the next run, if there is one, begins with what it still has |
/// | a panic in `accept` | ends the server, as an error does that it cannot survive |
/// | `forking` | a child has a copy of the listener's memory: what a reply's closure writes there, the parent does not see |
/// | `prefork` | each worker has such a copy, and calls `accept` on its own: descriptors are shared, a list in memory is not |
/// | `tcp` and `unix` at once | by one listener that has both sockets, behind an epoll(7) descriptor, say |
///
/// # Examples
///
/// Requests out of a list:
///
/// ```
/// use std::os::fd::BorrowedFd;
/// use std::sync::Mutex;
///
/// use sockserv::prelude::*;
/// use sockserv::{Incoming, Listener};
///
/// /// Two packets, and then no more.
/// struct List(Mutex<Vec<&'static str>>);
///
/// impl Default for List {
///     fn default() -> Self {
///         List(Mutex::new(vec!["two", "one"]))
///     }
/// }
///
/// impl Listener for List {
///     fn accept(&self) -> io::Result<(Incoming, Address)> {
///         match self.0.lock().unwrap().pop() {
///             Some(text) => Ok((Incoming::from_packet(text), Address::Unnamed)),
///             None => Err(io::ErrorKind::UnexpectedEof.into()), // There will never be another one.
///         }
///     }
///
///     fn as_fd(&self) -> Option<BorrowedFd<'_>> {
///         None
///     }
///
///     fn local_addr(&self) -> Address {
///         Address::Unnamed
///     }
/// }
///
/// #[derive(Clone)]
/// struct Count(std::sync::Arc<Mutex<usize>>);
///
/// #[server(sync, listener = List)]
/// impl Count {
///     fn handle(&mut self, datagram: &mut Datagram) {
///         *self.0.lock().unwrap() += datagram.packet().len();
///     }
/// }
///
/// let total = Count(Default::default());
/// CountServer::bind(total.clone())?.serve_forever()?;
/// assert_eq!(*total.0.lock().unwrap(), 6);
/// # Ok::<(), io::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no listener",
    label = "hands out no requests",
    note = "write `impl Listener for {Self}`, or a transport such as `tcp` in place of `listener`"
)]
pub trait Listener: 'static {
    /// Takes one request, with its peer. Called on the accepting thread, until it says that none is there: with a descriptor
    /// it must not wait, so a socket is best set to non-blocking.
    ///
    /// A descriptor that blocks (without `O_NONBLOCK` when the server first calls) is looked at before each call, which is
    /// made only if it is readable. That costs a system call, and does not help where somebody else takes from the same
    /// descriptor, as the workers of `prefork` do: whoever comes second waits for the next request, and no shutdown ends that.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: none is there. `UnexpectedEof`: there will never be another one; the server ends when all its
    /// listeners have. Errors of one connection (`ConnectionAborted`, `Interrupted`, and what accept(2) lists) are skipped,
    /// a lack of descriptors or memory pauses the listener, any other error ends the server.
    fn accept(&self) -> io::Result<(Incoming, Address)>;

    /// Returns a descriptor that is readable as long as there may be a request, always the same one, or `None`: then `accept` is
    /// called again and again, 10 ms after it had nothing, and may itself wait a little. A shutdown is noticed in between.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Returns where it listens.
    fn local_addr(&self) -> Address;
}

/// One request as it was accepted: a stream that nobody has read from yet, or a packet.
///
/// [`verify_request`](crate::Hooks::verify_request) may look at it; an own [`Listener`] makes it.
#[derive(Debug)]
pub struct Incoming {
    pub(crate) arrived: Arrived,
}

#[derive(Debug)]
pub(crate) enum Arrived {
    Stream {
        transport: Arc<dyn Transport>,
        local: OnceLock<Address>,
        /// Whether the socket has the server's timeout from its listener.
        inherits: bool,
        /// Whether somebody else may hold the socket, too.
        lent: AtomicBool,
    },
    Packet(Box<Packet>),
}

impl Incoming {
    /// Makes a request of a transport: bytes in memory, another protocol's tunnel, ...
    ///
    /// A panic in one of its methods is an error of that call.
    #[must_use]
    pub fn stream(transport: impl Transport) -> Self {
        Self::made_elsewhere(Arc::new(Guarded::new(transport)))
    }

    fn made_elsewhere(transport: Arc<dyn Transport>) -> Self {
        Self {
            arrived: Arrived::Stream {
                transport,
                local: OnceLock::new(),
                inherits: false,
                lent: AtomicBool::new(true), // Whoever made it may have kept a duplicate.
            },
        }
    }

    /// Makes a request of a packet whose reply goes nowhere. See [`Incoming::from_packet_with`].
    #[must_use]
    pub fn from_packet(bytes: impl Into<Bytes>) -> Self {
        Self {
            arrived: Arrived::Packet(Packet::new(bytes.into(), None)),
        }
    }

    /// Makes a request of a packet; `reply` sends the handler's answer.
    #[must_use]
    pub fn from_packet_with(
        bytes: impl Into<Bytes>,
        reply: impl Fn(&[u8]) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            arrived: Arrived::Packet(Packet::new(bytes.into(), Some(Arc::new(reply)))),
        }
    }

    pub(crate) fn accepted(socket: Socket, local: Option<Address>, inherits: bool) -> Self {
        let local = local.map_or_else(OnceLock::new, OnceLock::from);
        Self {
            arrived: Arrived::Stream {
                transport: Arc::new(socket),
                local,
                inherits,
                lent: AtomicBool::new(false),
            },
        }
    }

    /// Returns the address that the peer connected or sent to.
    #[must_use]
    pub fn local_addr(&self) -> &Address {
        match &self.arrived {
            Arrived::Stream { local, .. } => local.get_or_init(|| {
                let address = self
                    .carrying_socket()
                    .and_then(|socket| socket.local_addr().ok());
                address.map_or(Address::Unnamed, |address| Address::from_socket(&address))
            }),
            Arrived::Packet(packet) => packet.route.local(),
        }
    }

    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.arrived, Arrived::Stream { .. })
    }

    /// Where it came to, if the kernel need not be asked.
    pub(crate) fn known_local(&self) -> Option<&Address> {
        match &self.arrived {
            Arrived::Stream { local, .. } => local.get(),
            Arrived::Packet(packet) => Some(packet.route.local()),
        }
    }

    /// What kind of socket carries it, if one does.
    pub(crate) fn carrier(&self, peer: &Address) -> Option<Kind> {
        self.carrying_socket()?;
        Some(match (&self.arrived, peer) {
            (Arrived::Stream { .. }, Address::Inet(_)) => Kind::Tcp,
            (Arrived::Stream { .. }, _) => Kind::Unix,
            (Arrived::Packet(_), Address::Inet(_)) => Kind::Udp,
            (Arrived::Packet(_), _) => Kind::UnixDatagram,
        })
    }

    /// Returns the packet, if it is one.
    #[must_use]
    pub fn packet(&self) -> Option<&Bytes> {
        match &self.arrived {
            Arrived::Packet(packet) => Some(&packet.bytes),
            Arrived::Stream { .. } => None,
        }
    }

    /// Returns the socket: the stream's own, or the one that the packet came to.
    #[must_use]
    pub fn socket(&self) -> Option<SockRef<'_>> {
        if let Arrived::Stream { lent, .. } = &self.arrived {
            lent.store(true, Ordering::Relaxed);
        }
        self.carrying_socket()
    }

    fn carrying_socket(&self) -> Option<SockRef<'_>> {
        match &self.arrived {
            Arrived::Stream { transport, .. } => {
                transport.descriptor()?;
                Some(SockRef::from(transport))
            }
            Arrived::Packet(packet) => packet.route.socket(),
        }
    }

    /// Returns who is at the other end of a Unix stream, as the kernel knows it.
    ///
    /// # Errors
    ///
    /// `Unsupported` for anything but a Unix stream.
    pub fn credentials(&self) -> io::Result<Credentials> {
        match &self.arrived {
            Arrived::Stream { transport, .. } => {
                Credentials::of(transport.descriptor().ok_or(io::ErrorKind::Unsupported)?)
            }
            Arrived::Packet(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl From<Socket> for Incoming {
    fn from(socket: Socket) -> Self {
        Self::made_elsewhere(Arc::new(socket))
    }
}

impl From<std::net::TcpStream> for Incoming {
    fn from(stream: std::net::TcpStream) -> Self {
        Socket::from(stream).into()
    }
}

impl From<std::os::unix::net::UnixStream> for Incoming {
    fn from(stream: std::os::unix::net::UnixStream) -> Self {
        Socket::from(stream).into()
    }
}

/// What the accept loop does about an error of `accept`.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing is there (any more).
    Nothing,
    /// It concerned one connection: go on with the next.
    Skip,
    /// Descriptors or memory ran out: this listener pauses.
    Pause(io::Error),
    /// There will never be another request.
    Exhausted,
    /// The listener is broken.
    Fatal(io::Error),
}

impl Failure {
    /// Sorts an error by what accept(2) and its section "Error handling" say of it.
    pub(crate) fn of(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::AGAIN) => Self::Nothing,
            Some(
                Errno::INTR
                | Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::PROTO
                | Errno::PERM
                | Errno::NETDOWN
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH
                | Errno::TIMEDOUT
                // A datagram socket tells of an earlier reply that nobody wanted.
                | Errno::CONNREFUSED,
            ) => Self::Skip,
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::NOSR) => Self::Pause(error),
            Some(_) => Self::Fatal(error),
            None => match error.kind() {
                io::ErrorKind::WouldBlock => Self::Nothing,
                io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => Self::Skip,
                io::ErrorKind::OutOfMemory => Self::Pause(error),
                io::ErrorKind::UnexpectedEof => Self::Exhausted,
                _ => Self::Fatal(error),
            },
        }
    }
}
