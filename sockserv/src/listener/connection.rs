//! One connection that somebody else accepted, in place of a listener: what inetd(8) and `Accept=yes` hand over.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Mutex;

use socket2::Socket;

use crate::address::Address;
use crate::listener::intake::Intake;
use crate::listener::{Incoming, Listener};
use crate::requests::lock;

/// It has one request, and never another.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Mutex<Option<Socket>>,
    local: Address,
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(socket);
        // Whoever accepted it may have left it so, and handlers wait.
        socket.set_nonblocking(false)?;
        Ok(Self {
            local: Address::from_socket(&socket.local_addr()?),
            socket: Mutex::new(Some(socket)),
        })
    }
}

impl Listener for Connection {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        let socket = lock(&self.socket).take();
        let socket = socket.ok_or(io::ErrorKind::UnexpectedEof)?;
        let peer = socket.peer_addr();
        let peer = peer.map_err(|_| io::ErrorKind::ConnectionAborted)?; // It has left.
        let peer = Address::from_socket(&peer);
        let incoming = Incoming::accepted(socket, Some(self.local.clone()), false);
        Ok((incoming, peer))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn local_addr(&self) -> Address {
        self.local.clone()
    }
}

impl Intake for Connection {}
