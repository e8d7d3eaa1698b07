//! The listener of `udp` and `unix_datagram`: receives packets in batches, and sends replies from where they came to.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use bytes::Bytes;
use rustix::net::{SendFlags, sendto};
use socket2::{SockAddr, SockRef, Socket};

use crate::address::{Address, Kind};
use crate::listener::intake::Intake;
use crate::listener::place::Place;
use crate::listener::{Arrived, Incoming, Listener};
use crate::sys::datagrams::{Along, Batch, Received, Source, send_from};

/// How many packets one system call may take: enough that its cost no longer counts.
pub(crate) const BATCH: usize = 32;

/// How long a reply may wait for room: a Unix peer that does not read must not hold the others up.
///
/// Its queue is full, not ours, and that cannot be polled for on a socket that is not connected to it: unix(7). So it is
/// tried again after a nap, each twice as long as the one before.
const FULL_PEER_WAIT: Duration = Duration::from_millis(100);
const FIRST_NAP: Duration = Duration::from_millis(1);

/// A bound datagram socket.
pub(crate) struct Packets {
    place: Place,
    home: Arc<Home>,
    batch: RefCell<Batch>,
}

/// Where a packet came in and its reply goes out. Open until the last request is done with it: D24.
#[derive(Debug)]
pub(crate) struct Home {
    socket: Arc<Socket>,
    kind: Kind,
    address: Address,
    is_v6: bool,
}

impl Packets {
    pub(crate) fn new(place: Place, max_packet_size: usize) -> Self {
        let home = Home {
            socket: Arc::clone(&place.socket),
            kind: place.kind,
            address: place.address.clone(),
            is_v6: place.is_v6,
        };
        let along = match place.kind.is_unix() {
            true => Along::Nothing,
            false => Along::Source,
        };
        Self {
            place,
            home: Arc::new(home),
            batch: RefCell::new(Batch::new(BATCH, max_packet_size, along)),
        }
    }

    #[inline]
    fn packet(&self, received: &Received<'_>) -> Box<Packet> {
        Box::new(Packet {
            bytes: Box::<[u8]>::from(received.bytes).into(),
            is_truncated: received.is_truncated,
            route: Route::Home {
                home: Arc::clone(&self.home),
                local: received.source().map(|source| self.home.at(source)),
            },
            peer: Address::Unnamed,
        })
    }
}

impl Listener for Packets {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        self.accept_among(1)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(AsFd::as_fd(&*self.place.socket))
    }

    fn local_addr(&self) -> Address {
        self.place.address.clone()
    }
}

impl Intake for Packets {
    fn accept_among(&self, most: usize) -> io::Result<(Incoming, Address)> {
        let mut batch = self.batch.borrow_mut();
        let received = batch.next(&*self.place.socket, most)?;
        let peer = match received.inet() {
            Some(inet) => inet.into(),
            None => Address::from_socket(&received.peer()),
        };
        let arrived = Arrived::Packet(self.packet(&received));
        Ok((Incoming { arrived }, peer))
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }
}

impl fmt::Debug for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packets")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// One packet, and the way back.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) bytes: Bytes,
    pub(crate) is_truncated: bool,
    pub(crate) route: Route,
    /// Who sent it, once it is a request: here, because a unit that kept it beside this would be large to move.
    pub(crate) peer: Address,
}

/// Where a packet came to, and the way back from there.
pub(crate) enum Route {
    Home {
        home: Arc<Home>,
        /// The address that it was sent to, if that is not the socket's own.
        local: Option<Address>,
    },
    Own(Option<Reply>),
}

/// What sends the reply to an own listener's packet.
type Reply = Arc<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

impl Packet {
    pub(crate) fn new(bytes: Bytes, reply: Option<Reply>) -> Box<Self> {
        Box::new(Self {
            bytes,
            is_truncated: false,
            route: Route::Own(reply),
            peer: Address::Unnamed,
        })
    }
}

impl Route {
    pub(crate) fn local(&self) -> &Address {
        match self {
            Self::Home { home, local } => local.as_ref().unwrap_or(&home.address),
            Self::Own(_) => &Address::Unnamed,
        }
    }

    pub(crate) fn socket(&self) -> Option<SockRef<'_>> {
        match self {
            Self::Home { home, .. } => Some(SockRef::from(&*home.socket)),
            Self::Own(_) => None,
        }
    }

    /// What a socket of one's own for this peer must be bound and connected to.
    pub(crate) fn ends(&self, peer: &Address) -> io::Result<(Kind, &Address, SockAddr)> {
        match self {
            Self::Home { home, .. } => Ok((home.kind, self.local(), home.reachable(peer)?)),
            Self::Own(_) => Err(no_socket()),
        }
    }

    /// Sends the reply, from the address that the packet came to.
    pub(crate) fn reply(&self, peer: &Address, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Home { home, local } => home.send(bytes, peer, local.as_ref()),
            Self::Own(Some(reply)) => reply(bytes),
            Self::Own(None) => Ok(()),
        }
    }

    pub(crate) fn send_to(&self, to: &Address, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Home { home, local } => home.send(bytes, to, local.as_ref()),
            Self::Own(_) => Err(no_socket()),
        }
    }
}

fn no_socket() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this packet came from no socket",
    )
}

impl Home {
    /// The address that a packet came to.
    fn at(&self, source: Source) -> Address {
        source
            .on_port(self.address.port().unwrap_or_default())
            .into()
    }

    /// The form in which this socket takes an address: IPv6 writes those of IPv4 as mapped ones.
    #[inline]
    fn form(&self, inet: SocketAddr) -> SocketAddr {
        match inet {
            SocketAddr::V4(v4) if self.is_v6 => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
            _ => inet,
        }
    }

    /// An address as this socket can send to it.
    #[inline]
    fn reachable(&self, to: &Address) -> io::Result<SockAddr> {
        match to {
            Address::Inet(inet) => Ok(self.form(*inet).into()),
            Address::Unnamed => Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                "an unnamed Unix peer cannot be answered",
            )),
            _ => to.to_socket(),
        }
    }

    fn send(&self, bytes: &[u8], to: &Address, from: Option<&Address>) -> io::Result<()> {
        let from = from.and_then(Address::as_inet);
        let mut naps = None;
        while let Err(error) = self.try_send(bytes, to, from) {
            self.nap_after(error, &mut naps)?;
        }
        Ok(())
    }

    /// Waits until it may be tried again, if that may help.
    #[cold]
    fn nap_after(&self, error: io::Error, naps: &mut Option<Naps>) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock => naps.get_or_insert_with(Naps::begin).next(),
            // A Unix peer whose path is gone has left, as one has that refuses.
            io::ErrorKind::NotFound if self.kind.is_unix() => {
                Err(io::Error::new(io::ErrorKind::ConnectionRefused, error))
            }
            _ => Err(error),
        }
    }

    /// Sends without waiting.
    #[inline]
    fn try_send(&self, bytes: &[u8], to: &Address, from: Option<SocketAddr>) -> io::Result<usize> {
        let socket = &*self.socket;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match (from, to) {
            (Some(from), _) => {
                let source = Source::from(self.form(from));
                send_from(socket, bytes, &self.reachable(to)?, source)
            }
            (None, Address::Inet(inet)) => Ok(sendto(socket, bytes, flags, &self.form(*inet))?),
            (None, _) => {
                let flags = flags.bits().cast_signed();
                socket.send_to_with_flags(bytes, &self.reachable(to)?, flags)
            }
        }
    }
}

/// The naps of a reply that waits for room.
struct Naps {
    until: Instant,
    next: Duration,
}

impl Naps {
    fn begin() -> Self {
        Self {
            until: Instant::now() + FULL_PEER_WAIT,
            next: FIRST_NAP,
        }
    }

    fn next(&mut self) -> io::Result<()> {
        if Instant::now() >= self.until {
            return Err(crate::error::Timeout::Write.into());
        }
        thread::sleep(self.next);
        self.next *= 2;
        Ok(())
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("local", self.local())
            .finish_non_exhaustive()
    }
}
