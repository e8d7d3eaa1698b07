//! The listener of `tcp` and `unix`: accepts connections.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::address::{Address, Kind};
use crate::listener::intake::Intake;
use crate::listener::place::Place;
use crate::listener::{Incoming, Listener};

/// A listening stream socket.
#[derive(Debug)]
pub(crate) struct Streams {
    place: Place,
    /// What every accepted socket's own address is, unless the listener's stands for several.
    local: Option<Address>,
    /// Whether connections may still come that were made before the socket had its options: from the process before this.
    has_older: Cell<bool>,
}

impl Streams {
    pub(crate) fn new(place: Place) -> Self {
        let local = (!place.is_wildcard()).then(|| place.address.clone());
        Self {
            has_older: Cell::new(place.is_taken_over()),
            place,
            local,
        }
    }
}

impl Listener for Streams {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        let accepted = self.place.socket.accept();
        if accepted.is_err() {
            self.has_older.set(false); // The queue was empty.
        }
        let (socket, peer) = accepted?;
        // Only TCP's accepted sockets inherit, and only from a listener that we prepared.
        let has_prepared = !self.place.is_inherited() && !self.has_older.get();
        let inherits = self.place.kind == Kind::Tcp && has_prepared;
        Ok((
            Incoming::accepted(socket, self.local.clone(), inherits),
            Address::from_socket(&peer),
        ))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(AsFd::as_fd(&*self.place.socket))
    }

    fn local_addr(&self) -> Address {
        self.place.address.clone()
    }
}

impl Intake for Streams {
    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }
}
