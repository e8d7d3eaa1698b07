//! [`ServerHandle`] and [`Stats`]: a server as everybody else sees it.

use std::fmt;
use std::sync::Arc;

use crate::drain::DrainReport;
use crate::requests::{Requests, lock};

/// Numbers of one server, taken at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many requests were taken from the kernel, those that were refused included.
    pub accepted: u64,
    /// How many requests are alive.
    pub active: u64,
    /// How many requests ended well.
    pub finished: u64,
    /// How many requests ended with an error, a panic, or because the peer left in the middle.
    pub failed: u64,
    /// How many peers were refused: by a limit, by `allow` or `deny`, by `verify_request`, or because the kernel said so.
    pub refused: u64,
    /// How many bytes the requests received.
    pub bytes_in: u64,
    /// How many bytes the requests sent.
    pub bytes_out: u64,
}

/// A way to reach a server from anywhere: other threads, its own handlers, its children.
#[derive(Clone)]
pub struct ServerHandle {
    pub(crate) requests: Arc<Requests>,
}

impl ServerHandle {
    /// Asks the server to stop: it closes its listeners, tells its requests, and returns when they have ended.
    ///
    /// Never blocks, may be called from anywhere and more than once, also before the server serves: then it ends at once.
    pub fn shutdown(&self) {
        self.requests.shutdown();
    }

    /// Returns whether a shutdown was asked for.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.requests.is_shutting_down()
    }

    /// Stops accepting until [`resume`](Self::resume); live requests go on, new ones wait in the kernel's queue.
    pub fn suspend(&self) {
        self.requests.suspend();
    }

    /// Accepts again after [`suspend`](Self::suspend).
    pub fn resume(&self) {
        self.requests.resume();
    }

    /// Returns whether [`suspend`](Self::suspend) is in force.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.requests.is_suspended()
    }

    /// Starts new workers in the place of those of `prefork`, one after another, as SIGHUP does under
    /// [`run`](crate::Server::run). Each old one ends its request first. Under the other models it does nothing.
    pub fn renew_workers(&self) {
        self.requests.renew_workers();
    }

    /// Wakes the accept loop, as if something had happened: it asks its [`Model`](crate::Model) whether it has room, and takes
    /// a turn. For models that make room on another thread, as in the example of
    /// [`has_room`](crate::Model::has_room). Never blocks, and may be called from anywhere.
    pub fn wake(&self) {
        self.requests.wake.wake();
    }

    /// Asks for another process of the same program to take over, as SIGUSR2 does under [`run`](crate::Server::run) with
    /// the option `upgrade`: see [`upgrade`](mod@crate::upgrade).
    ///
    /// Never blocks, and may be called from anywhere. If it succeeds, the server shuts down; if not, it goes on, and says
    /// why. An [`Observer`](crate::observer::Observer) is told of either.
    #[cfg(feature = "upgrade")]
    #[cfg_attr(docsrs, doc(cfg(feature = "upgrade")))]
    pub fn upgrade(&self) {
        self.requests.ask_upgrade();
    }

    /// Returns whether another process has taken over.
    #[cfg(feature = "upgrade")]
    #[cfg_attr(docsrs, doc(cfg(feature = "upgrade")))]
    #[must_use]
    pub fn is_handed_over(&self) -> bool {
        self.requests.is_handed_over()
    }

    /// Returns the server's numbers. Under every model, who has seen the end of its connection is counted as ended.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.requests.stats()
    }

    /// Returns what the last shutdown made of the requests, once there was one.
    #[must_use]
    pub fn report(&self) -> Option<DrainReport> {
        lock(&self.requests.report).clone()
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("stats", &self.stats())
            .field("is_shutting_down", &self.is_shutting_down())
            .finish_non_exhaustive()
    }
}
