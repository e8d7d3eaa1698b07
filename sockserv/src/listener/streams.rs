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
        let is_nothing = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        if accepted.as_ref().is_err_and(is_nothing) {
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

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpStream};

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;
    use crate::listener::Arrived;
    use crate::options::Options;

    #[test]
    fn an_older_connection_is_not_forgotten_for_a_failed_accept() {
        let at = Address::from(SocketAddr::from(([127, 0, 0, 1], 0)));
        let options = Options::new();
        let place = Place::bind(Kind::Tcp, &at, &options, &|_| Ok(())).expect("a free port");
        let at = place.address.as_inet().expect("a port");
        let streams = Streams {
            local: None,
            has_older: Cell::new(true), // As if another process had listened before.
            place,
        };
        let error = streams.accept().expect_err("it does not listen");
        assert_ne!(error.kind(), io::ErrorKind::WouldBlock);
        streams.place.activate(&options).expect("it is bound");
        let _client = TcpStream::connect(at).expect("it listens");
        let mut fds = [PollFd::new(&*streams.place.socket, PollFlags::IN)];
        poll(&mut fds, None).expect("it waits");
        let (incoming, _) = streams.accept().expect("it is readable");
        let Arrived::Stream { inherits, .. } = incoming.arrived else {
            panic!("a packet");
        };
        assert!(!inherits, "it has no timeout from the listener");
    }
}
