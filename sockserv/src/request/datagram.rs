//! [`Datagram`]: one packet, as a handler sees it, and the one packet that answers it.

use std::cell::Cell;
use std::io::{self, BufRead, Read, Write};
use std::mem;
use std::net::SocketAddr;

use bytes::Bytes;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::address::{Address, Kind};
use crate::error::of_peer;
use crate::listener::packets::Packet;
use crate::request::conversation::Conversation;
use crate::requests::{ServerHandle, Ticket};

/// One packet and its reply, as Python's `DatagramRequestHandler` has them.
///
/// What is written to `wfile` leaves as one packet when the handler has succeeded; nothing is sent after an error, or if
/// nothing was written. No bytes at all are an empty packet, if `write` or `write_all` was called; `io::copy` calls neither
/// when there is nothing to copy. The reply leaves from the address that the packet came to, also on a server bound to
/// `0.0.0.0`.
///
/// # Examples
///
/// ```
/// use sockserv::prelude::*;
///
/// #[derive(Clone)]
/// struct Upper;
///
/// #[server(udp, addr = "127.0.0.1:0")]
/// impl Upper {
///     fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
///         let reply = datagram.packet().to_ascii_uppercase();
///         datagram.wfile.write_all(&reply)
///     }
/// }
///
/// let server = UpperServer::bind(Upper)?.spawn()?;
/// let mut client = server.connect()?;
/// client.write_all(b"hello")?;
/// let mut reply = [0; 5];
/// client.read_exact(&mut reply)?;
/// assert_eq!(&reply, b"HELLO");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug)]
pub struct Datagram {
    /// The packet, to read from.
    pub rfile: PacketReader,
    /// The reply.
    pub wfile: PacketWriter,
    packet: Box<Packet>,
    ticket: Ticket,
}

impl Datagram {
    #[inline]
    pub(crate) fn new(mut packet: Box<Packet>, ticket: Ticket) -> Self {
        Self {
            rfile: PacketReader {
                bytes: mem::take(&mut packet.bytes),
                position: 0,
            },
            wfile: PacketWriter { reply: None },
            packet,
            ticket,
        }
    }

    pub(crate) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Sends what was written, if anything was.
    pub(crate) fn send_reply(&mut self) -> io::Result<()> {
        let Some(bytes) = &self.wfile.reply else {
            return Ok(());
        };
        let Packet { route, peer, .. } = &*self.packet;
        route.reply(peer, bytes).map_err(of_peer)?;
        self.ticket.slot().bytes_out.add(bytes.len());
        Ok(())
    }

    /// Returns the packet.
    #[must_use]
    pub fn packet(&self) -> &Bytes {
        &self.rfile.bytes
    }

    /// Returns whether the packet was longer than `max_packet_size`, so that its end is missing.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.packet.is_truncated
    }

    /// Returns who sent it.
    #[must_use]
    pub fn peer_addr(&self) -> &Address {
        &self.packet.peer
    }

    /// Returns the address that it was sent to.
    #[must_use]
    pub fn local_addr(&self) -> &Address {
        self.packet.route.local()
    }

    /// Returns the server that it came to.
    #[must_use]
    pub fn server(&self) -> &ServerHandle {
        self.ticket.handle()
    }

    /// Returns the socket that it came to, which all requests of the server share; `None` for an own listener's packet.
    #[must_use]
    pub fn socket(&self) -> Option<SockRef<'_>> {
        self.packet.route.socket()
    }

    /// Sends a packet at once, to anybody, from the address that this one came to.
    ///
    /// # Errors
    ///
    /// What the operating system says; `AddrNotAvailable` for an unnamed Unix peer.
    pub fn send_to<A>(&self, to: A, bytes: &[u8]) -> io::Result<()>
    where
        A: TryInto<Address, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        let to = to
            .try_into()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let sent = self.packet.route.send_to(&to, bytes);
        sent.map_err(|error| match to == self.packet.peer {
            true => of_peer(error),
            false => error,
        })?;
        self.ticket.slot().bytes_out.add(bytes.len());
        Ok(())
    }

    /// Opens a socket of its own for this peer, connected to it, on a free port of the same address: a conversation of
    /// several packets beside the server's own, as TFTP has them (RFC 1350, section 4).
    ///
    /// # Errors
    ///
    /// What the operating system says; `Unsupported` for an own listener's packet.
    pub fn conversation(&self) -> io::Result<Conversation> {
        let (kind, local, peer) = self.packet.route.ends(&self.packet.peer)?;
        let socket = Socket::new(peer.domain(), Type::DGRAM, None)?;
        socket.bind(&free_place(kind, local, &peer)?)?;
        socket.connect(&peer)?;
        Ok(Conversation::new(socket, &self.ticket))
    }
}

/// Where a conversation's own socket binds: the same address, another port or name.
fn free_place(kind: Kind, local: &Address, peer: &SockAddr) -> io::Result<SockAddr> {
    match local.as_inet() {
        Some(local) if peer.is_ipv6() && local.is_ipv4() => {
            let SocketAddr::V4(v4) = local else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            Ok(SocketAddr::from((v4.ip().to_ipv6_mapped(), 0)).into())
        }
        Some(mut local) => {
            local.set_port(0);
            Ok(local.into())
        }
        None => {
            debug_assert!(kind.is_unix() && peer.domain() == Domain::UNIX);
            Ok(crate::sys::datagrams::autobind()) // The kernel chooses a free abstract name: unix(7).
        }
    }
}

/// Reads a packet's bytes.
#[derive(Debug)]
pub struct PacketReader {
    bytes: Bytes,
    position: usize,
}

impl Read for PacketReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = (&self.bytes[self.position..]).read(into)?;
        self.position += count;
        Ok(count)
    }
}

impl BufRead for PacketReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.bytes[self.position..])
    }

    fn consume(&mut self, count: usize) {
        self.position = (self.position + count).min(self.bytes.len());
    }
}

/// Collects the one packet of the reply.
#[derive(Debug)]
pub struct PacketWriter {
    /// What was written, if anything was: an empty packet is a reply too.
    reply: Option<Vec<u8>>,
}

thread_local! {
    /// The memory of the last reply of this thread.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Keeps memory for a reply ready on this thread.
pub(crate) fn warm() {
    drop(PacketWriter {
        reply: Some(Vec::with_capacity(512)),
    });
}

impl Drop for PacketWriter {
    fn drop(&mut self) {
        if let Some(mut bytes) = self.reply.take() {
            bytes.clear();
            // While a thread ends there is nobody to keep it for.
            let _ = SPARE.try_with(|spare| spare.set(bytes));
        }
    }
}

impl Write for PacketWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let reply = self.reply.get_or_insert_with(|| SPARE.take());
        reply.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).map(drop) // Of nothing, too: std's own would not call it.
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
