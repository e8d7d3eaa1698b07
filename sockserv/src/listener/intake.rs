//! [`Intake`]: a listener as the accept loop sees it, ours or somebody's own.

use std::cell::OnceCell;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::event::PollFlags;
use rustix::fs::{OFlags, fcntl_getfl};

use crate::address::Address;
use crate::error::{Phase, RequestError};
use crate::guard::guard_value;
use crate::listener::place::Place;
use crate::listener::{Incoming, Listener};
use crate::sys::poller::ready_now;

/// What the accept loop wants of a listener besides.
pub(crate) trait Intake: Listener {
    /// Takes one request. The kernel may be asked for up to `most` at once: the caller goes on until it has had so many, or
    /// is told `WouldBlock`.
    fn accept_among(&self, most: usize) -> io::Result<(Incoming, Address)> {
        let _ = most;
        self.accept()
    }

    /// The socket to give up when the server closes, and what it is; nothing of somebody's own.
    fn place(&self) -> Option<&Place> {
        None
    }
}

/// Somebody's own listener. One that panics is broken: the next `accept` says so.
pub(crate) struct Foreign<L> {
    listener: L,
    broken: OnceCell<RequestError>,
    /// Whether its descriptor is one that blocks, and so perhaps its `accept`.
    blocks: OnceCell<bool>,
}

impl<L: Listener> Foreign<L> {
    pub(crate) fn new(listener: L) -> Self {
        Self {
            listener,
            broken: OnceCell::new(),
            blocks: OnceCell::new(),
        }
    }

    /// Whether `accept` might wait, and so must not be called.
    fn might_wait(&self) -> bool {
        self.as_fd().is_some_and(|fd| {
            let blocks = || fcntl_getfl(fd).is_ok_and(|flags| !flags.contains(OFlags::NONBLOCK));
            *self.blocks.get_or_init(blocks) && has_nothing(fd)
        })
    }

    /// Asks the listener; nothing if it panics, or did before.
    fn ask<'a, T>(&'a self, call: impl FnOnce(&'a L) -> T) -> Option<T> {
        if self.broken.get().is_some() {
            return None;
        }
        let asked = guard_value(Phase::Hook, || call(&self.listener));
        asked.map_err(|error| self.broken.set(error)).ok()
    }
}

impl<L: Listener> Listener for Foreign<L> {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        if self.might_wait() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let broken = || {
            let why = self.broken.get().map(ToString::to_string);
            Err(io::Error::other(why.unwrap_or_default()))
        };
        self.ask(L::accept).unwrap_or_else(broken)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.ask(L::as_fd).flatten()
    }

    fn local_addr(&self) -> Address {
        self.ask(L::local_addr).unwrap_or(Address::Unnamed)
    }
}

impl<L: Listener> Intake for Foreign<L> {}

/// Whether a descriptor is not readable now.
fn has_nothing(fd: BorrowedFd<'_>) -> bool {
    ready_now(fd, PollFlags::IN).is_ok_and(|ready| ready.is_empty())
}
