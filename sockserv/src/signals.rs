//! SIGINT and SIGTERM while `run` serves: the first drains, the second cuts, and then both are as they were before.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use crate::sys::poller::Wake;
use crate::sys::signal::{self, Handled};

/// The signals are handled while this lives.
#[derive(Debug)]
pub(crate) struct Signals {
    _handled: Vec<Handled>,
}

/// The descriptors of one server that a signal writes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Targets {
    /// Written at the first signal: the accept loop, and who polls the life line.
    pub(crate) drain: [RawFd; 2],
    /// Written at the second.
    pub(crate) cut: RawFd,
}

impl Targets {
    pub(crate) fn new(wake: BorrowedFd<'_>, life: RawFd, over: BorrowedFd<'_>) -> Self {
        Self {
            drain: [wake.as_raw_fd(), life],
            cut: over.as_raw_fd(),
        }
    }
}

impl Signals {
    /// Handles both signals for servers that live at least as long.
    pub(crate) fn handle(targets: &[Targets]) -> io::Result<Self> {
        signal::aim(targets.iter().map(|targets| (targets.drain, targets.cut)));
        Ok(Self {
            _handled: signal::handle(&[signal::SIGINT, signal::SIGTERM])?,
        })
    }

    /// How many of the signals came.
    pub(crate) fn count() -> u32 {
        signal::count()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        signal::aim(std::iter::empty());
    }
}

/// In a child: a terminal's Ctrl-C is its parent's business, and SIGTERM ends the grace of its request.
pub(crate) fn as_child(wake: &Wake) -> io::Result<()> {
    use std::os::fd::AsFd;
    let wake = wake.as_fd().as_raw_fd();
    signal::aim([([wake, wake], wake)].into_iter());
    let handled = [signal::ignore(signal::SIGINT)?]
        .into_iter()
        .chain(signal::handle(&[signal::SIGTERM])?);
    handled.for_each(std::mem::forget); // For the child's whole life; there is nothing to go back to.
    Ok(())
}
