//! [`Intake`]: a listener as the accept loop sees it, ours or somebody's own.

use std::io;
use std::os::fd::BorrowedFd;

use crate::address::Address;
use crate::error::Phase;
use crate::guard::guard_value;
use crate::listener::place::Place;
use crate::listener::{Incoming, Listener};

/// What the accept loop wants of a listener besides.
pub(crate) trait Intake: Listener {
    /// Takes up to `most` requests at once. `WouldBlock`: there are no more for now, though some may have been taken.
    fn accept_many(
        &self,
        most: usize,
        take: &mut dyn FnMut((Incoming, Address)),
    ) -> io::Result<()> {
        for _ in 0..most {
            take(self.accept()?);
        }
        Ok(())
    }

    /// The socket to give up when the server closes, and what it is; nothing of somebody's own.
    fn place(&self) -> Option<&Place> {
        None
    }
}

/// Somebody's own listener. One that panics is broken.
pub(crate) struct Foreign<L>(pub(crate) L);

impl<L: Listener> Listener for Foreign<L> {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        guard_value(Phase::Hook, || self.0.accept()).map_err(io::Error::other)?
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_fd()
    }

    fn local_addr(&self) -> Address {
        self.0.local_addr()
    }
}

impl<L: Listener> Intake for Foreign<L> {}
