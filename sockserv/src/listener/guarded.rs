//! [`Guarded`]: a transport that somebody else wrote. The accept loop calls it too, and survives what panics in there.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::error::Phase;
use crate::guard::guard_value;
use crate::transport::{Transport, Wait};

/// A panic is an error of the call; one in `descriptor` hides it.
pub(super) struct Guarded<T>(Option<T>);

impl<T> Guarded<T> {
    pub(super) fn new(own: T) -> Self {
        Self(Some(own))
    }

    fn own(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }

    fn ask<A>(&self, call: impl FnOnce(&T) -> io::Result<A>) -> io::Result<A> {
        guard_value(Phase::Hook, || call(self.own())).map_err(io::Error::other)?
    }
}

impl<T: Transport> Transport for Guarded<T> {
    fn recv(&self, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        self.ask(|own| own.recv(buffer, wait))
    }

    fn send(&self, bytes: &[u8], wait: Wait) -> io::Result<usize> {
        self.ask(|own| own.send(bytes, wait))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.ask(|own| own.shutdown(how))
    }

    fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.ask(|own| own.set_timeout(timeout))
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        guard_value(Phase::Hook, || self.own().descriptor()).unwrap_or(None)
    }

    fn carries_fds(&self) -> bool {
        guard_value(Phase::Hook, || self.own().carries_fds()).unwrap_or(false)
    }

    fn recv_with_fds(
        &self,
        buffer: &mut [u8],
        most: usize,
        take: &mut dyn FnMut(io::Result<OwnedFd>),
        wait: Wait,
    ) -> io::Result<usize> {
        self.ask(|own| own.recv_with_fds(buffer, most, take, wait))
    }

    fn send_with_fd(&self, bytes: &[u8], fd: BorrowedFd<'_>, wait: Wait) -> io::Result<usize> {
        self.ask(|own| own.send_with_fd(bytes, fd, wait))
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        let own = self.0.take();
        // Whose request it was has ended: the panic hook was told, and nobody else is left.
        let _ = guard_value(Phase::Hook, || drop(own));
    }
}

impl<T: fmt::Debug> fmt::Debug for Guarded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.own().fmt(f)
    }
}
