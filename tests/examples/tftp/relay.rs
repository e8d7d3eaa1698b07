//! A bad line: a relay for one UDP conversation that loses and doubles packets as it is told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// How often a packet arrives, by its number among those in its direction, from zero.
pub(super) type Fate = fn(usize) -> usize;

/// The client sees one peer, as the server does; the server's is whoever answered last.
pub(super) struct Relay {
    client_side: Arc<Side>,
    server_side: Arc<Side>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

struct Side {
    socket: UdpSocket,
    peer: Mutex<Option<SocketAddr>>,
    /// How many came from there.
    came: AtomicUsize,
}

impl Side {
    fn new(peer: Option<SocketAddr>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Side {
            socket: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
            peer: Mutex::new(peer),
            came: AtomicUsize::new(0),
        }))
    }

    fn addr(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket")
    }

    /// Passes on what comes here, until an empty packet comes.
    fn relay(&self, other: &Side, fate: Fate) -> io::Result<()> {
        let mut packet = vec![0; 65536];
        loop {
            let (length, from) = self.socket.recv_from(&mut packet)?;
            if length == 0 {
                return Ok(());
            }
            *self.peer.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
            let copies = fate(self.came.fetch_add(1, Ordering::Relaxed));
            let to = *other.peer.lock().unwrap_or_else(PoisonError::into_inner);
            for to in std::iter::repeat_n(to, copies).flatten() {
                other.socket.send_to(&packet[..length], to)?;
            }
        }
    }
}

impl Relay {
    pub(super) fn start(server: SocketAddr, to_server: Fate, to_client: Fate) -> io::Result<Self> {
        let (client_side, server_side) = (Side::new(None)?, Side::new(Some(server))?);
        let threads = [
            (&client_side, &server_side, to_server),
            (&server_side, &client_side, to_client),
        ];
        let threads = threads.map(|(here, there, fate)| {
            let (here, there) = (Arc::clone(here), Arc::clone(there));
            thread::spawn(move || here.relay(&there, fate))
        });
        Ok(Relay {
            client_side,
            server_side,
            threads: threads.into(),
        })
    }

    /// Where the client finds it.
    pub(super) fn addr(&self) -> SocketAddr {
        self.client_side.addr()
    }

    /// How many packets came from the server.
    pub(super) fn packets_of_server(&self) -> usize {
        self.server_side.came.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for side in [&self.client_side, &self.server_side] {
            side.socket
                .send_to(b"", side.addr())
                .expect("a packet to itself");
        }
        for thread in self.threads.drain(..) {
            let relayed = thread.join().expect("a relay does not panic");
            relayed.expect("a relay on the loopback interface");
        }
    }
}
