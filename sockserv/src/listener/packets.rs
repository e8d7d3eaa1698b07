//! The listener of `udp` and `unix_datagram`: receives packets in batches, and sends replies from where they came to.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use bytes::Bytes;
use socket2::{SockAddr, SockRef, Socket};

use crate::address::{Address, Kind};
use crate::listener::intake::Intake;
use crate::listener::place::Place;
use crate::listener::{Arrived, Incoming, Listener};
use crate::sys::datagrams::{Along, Batch, Received, Source, send_from};

/// How many packets one system call may take: enough that its cost no longer counts.
const BATCH: usize = 32;

/// How long a reply may wait for room: a Unix peer that does not read must not hold the others up.
///
/// Its queue is full, not ours, and that cannot be polled for on a socket that is not connected to it: unix(7). So it is
/// tried again after a nap, each twice as long as the one before.
const PATIENCE: Duration = Duration::from_millis(100);
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

    fn packet(&self, received: &Received<'_>) -> Packet {
        Packet {
            bytes: Bytes::copy_from_slice(received.bytes),
            is_truncated: received.is_truncated,
            local: OnceLock::new(),
            way: Way::Home {
                home: Arc::clone(&self.home),
                source: received.source,
            },
        }
    }
}

impl Listener for Packets {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        let mut taken = None;
        self.accept_many(1, &mut |incoming, peer| taken = Some((incoming, peer)))?;
        taken.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(AsFd::as_fd(&*self.place.socket))
    }

    fn local_addr(&self) -> Address {
        self.place.address.clone()
    }
}

impl Intake for Packets {
    fn accept_many(&self, most: usize, take: &mut dyn FnMut(Incoming, Address)) -> io::Result<()> {
        let mut batch = self.batch.borrow_mut();
        let count = batch.receive(&*self.place.socket, most)?;
        for index in 0..count {
            let received = batch.get(index);
            let peer = Address::from_socket(&received.peer);
            take(
                Incoming {
                    arrived: Arrived::Packet(self.packet(&received)),
                },
                peer,
            );
        }
        match count < most.min(BATCH) {
            true => Err(io::ErrorKind::WouldBlock.into()), // Spares the call that would find that out.
            false => Ok(()),
        }
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
pub(crate) struct Packet {
    pub(crate) bytes: Bytes,
    pub(crate) is_truncated: bool,
    local: OnceLock<Address>,
    way: Way,
}

/// What sends the reply to an own listener's packet.
type Reply = Arc<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

enum Way {
    Home {
        home: Arc<Home>,
        source: Option<Source>,
    },
    Own(Option<Reply>),
}

impl Packet {
    pub(crate) fn new(bytes: Bytes, reply: Option<Reply>) -> Self {
        Self {
            bytes,
            is_truncated: false,
            local: OnceLock::from(Address::Unnamed),
            way: Way::Own(reply),
        }
    }

    pub(crate) fn local(&self) -> &Address {
        self.local.get_or_init(|| match &self.way {
            Way::Home {
                home,
                source: Some(source),
                ..
            } => Address::from(source.on_port(home.address.port().unwrap_or_default())),
            Way::Home { home, .. } => home.address.clone(),
            Way::Own(_) => Address::Unnamed,
        })
    }

    pub(crate) fn socket(&self) -> Option<SockRef<'_>> {
        match &self.way {
            Way::Home { home, .. } => Some(SockRef::from(&*home.socket)),
            Way::Own(_) => None,
        }
    }

    /// What a socket of one's own for this peer must be bound and connected to.
    pub(crate) fn ends(&self, peer: &Address) -> io::Result<(Kind, &Address, SockAddr)> {
        match &self.way {
            Way::Home { home, .. } => Ok((home.kind, self.local(), home.reachable(peer)?)),
            Way::Own(_) => Err(no_socket()),
        }
    }

    /// Sends the reply, from the address that the packet came to.
    pub(crate) fn reply(&self, peer: &Address, bytes: &[u8]) -> io::Result<()> {
        match &self.way {
            Way::Home { home, source } => home.send(bytes, &home.reachable(peer)?, *source),
            Way::Own(Some(reply)) => reply(bytes),
            Way::Own(None) => Ok(()),
        }
    }

    pub(crate) fn send_to(&self, to: &Address, bytes: &[u8]) -> io::Result<()> {
        match &self.way {
            Way::Home { home, source } => home.send(bytes, &home.reachable(to)?, *source),
            Way::Own(_) => Err(no_socket()),
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
    /// The form of an address that this socket can send to: an IPv6 socket reaches IPv4 peers by their mapped addresses.
    fn reachable(&self, to: &Address) -> io::Result<SockAddr> {
        match (to, self.is_v6) {
            (Address::Inet(SocketAddr::V4(v4)), true) => {
                Ok(SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())).into())
            }
            (Address::Unnamed, _) => Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                "an unnamed Unix peer cannot be answered",
            )),
            _ => to.to_socket(),
        }
    }

    fn send(&self, bytes: &[u8], to: &SockAddr, source: Option<Source>) -> io::Result<()> {
        let (mut nap, mut until) = (FIRST_NAP, None);
        loop {
            let sent = match source {
                Some(source) => send_from(&*self.socket, bytes, to, source),
                None => self.socket.send_to_with_flags(
                    bytes,
                    to,
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                ),
            };
            match sent {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() >= *until.get_or_insert_with(|| Instant::now() + PATIENCE) {
                        return Err(crate::error::Timeout::Write.into());
                    }
                    thread::sleep(nap);
                    nap *= 2;
                }
                // A Unix peer whose path is gone has left, as one has that refuses.
                Err(error) if self.kind.is_unix() && error.kind() == io::ErrorKind::NotFound => {
                    return Err(io::Error::new(io::ErrorKind::ConnectionRefused, error));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("bytes", &self.bytes)
            .field("is_truncated", &self.is_truncated)
            .field("local", self.local())
            .finish_non_exhaustive()
    }
}
