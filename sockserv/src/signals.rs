//! The signals while `run` serves: SIGINT or SIGTERM drains, the second one cuts, SIGHUP reloads, SIGUSR1 asks how it goes.
//! Then all are as they were before.

use std::io;
use std::mem::forget;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

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

/// Which signals mean something to a program, beside those that all heed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heeded {
    /// SIGHUP: there is something to reload.
    pub(crate) reloads: bool,
    /// SIGUSR2: it asks for an upgrade.
    pub(crate) upgrades: bool,
}

impl Signals {
    /// Handles them for servers that live at least as long.
    pub(crate) fn handle(targets: &[Targets], heeded: Heeded) -> io::Result<Self> {
        signal::aim(targets.iter().map(|targets| (targets.drain, targets.cut)));
        let mut handled = vec![
            signal::handle(signal::SIGINT)?,
            signal::handle(signal::SIGTERM)?,
        ];
        if heeded.reloads {
            handled.push(signal::handle_hang_up()?);
        }
        handled.extend(signal::handle_question()?);
        if heeded.upgrades {
            handled.push(signal::handle_upgrade()?);
        }
        Ok(Self { _handled: handled })
    }

    /// How often SIGHUP came.
    pub(crate) fn hang_ups() -> u32 {
        signal::hang_ups()
    }

    /// How often SIGUSR2 came.
    #[cfg(feature = "upgrade")]
    pub(crate) fn upgrades() -> u32 {
        signal::upgrades()
    }

    /// Returns true to one caller for each SIGUSR1, which then answers it.
    pub(crate) fn take_question() -> bool {
        static HEEDED: AtomicU32 = AtomicU32::new(0);
        let came = signal::questions();
        HEEDED.load(Ordering::Relaxed) != came && HEEDED.swap(came, Ordering::Relaxed) != came
    }

    /// How many of the signals came that end a server.
    pub(crate) fn count() -> u32 {
        signal::count()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        signal::aim(std::iter::empty());
    }
}

/// In a worker: as in a child, but SIGTERM ends this worker alone, with all the grace that a shutdown has.
pub(crate) fn as_worker(wake: &Wake, over: &Wake) -> io::Result<()> {
    for signal in [signal::SIGHUP, signal::SIGUSR2] {
        forget(signal::ignore(signal)?); // Its parent's business, too.
    }
    own(wake, over)
}

/// In a child: a terminal's Ctrl-C is its parent's business, and SIGTERM ends the grace of its request.
pub(crate) fn as_child(wake: &Wake) -> io::Result<()> {
    own(wake, wake)
}

/// Makes SIGTERM write to these two, and nothing else do anything.
fn own(wake: &Wake, over: &Wake) -> io::Result<()> {
    let (wake, over) = (wake.as_fd().as_raw_fd(), over.as_fd().as_raw_fd());
    signal::aim_in_child(([wake, over], over));
    // For the child's whole life; there is nothing to go back to.
    forget(signal::ignore(signal::SIGINT)?);
    forget(signal::handle(signal::SIGTERM)?);
    signal::ignore_ours()
}
