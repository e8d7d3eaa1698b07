//! [`Event`]: what happens in a server.

use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::address::{Address, Endpoint, Kind};
use crate::drain::DrainReport;
use crate::error::{Phase, RequestError};
use crate::observer::{Reason, Refusal};

/// What an [`Observer`](crate::observer::Observer) is told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A request was accepted and verified. What follows may still fail: cloning the handler, starting a thread, forking.
    Started(Start<'a>),
    /// A request has ended, in whatever way.
    Stopped(Stop<'a>),
    /// Something of the user's failed: [`handle_error`](crate::Hooks::handle_error) is told the same.
    ///
    /// Told in the process where it failed, which under `forking` is the child, unless the child died of it.
    #[non_exhaustive]
    Failed {
        /// The request, or `None` if a hook failed that belongs to none.
        request: Option<u64>,
        /// What failed, and in which [`phase`](RequestError::phase).
        error: &'a RequestError,
        /// Whose request it was.
        peer: &'a Address,
    },
    /// A peer was turned away: it has neither a start nor a stop.
    #[non_exhaustive]
    Refused {
        /// Who it was.
        peer: &'a Address,
        /// Why.
        why: Refusal,
    },
    /// A listener pauses, because descriptors or memory ran out.
    #[non_exhaustive]
    Paused {
        /// Which listener.
        at: &'a Endpoint,
        /// What accept(2) said.
        error: &'a io::Error,
        /// How long.
        pause: Duration,
    },
    /// SIGHUP came under [`run`](crate::Server::run): read again what may have changed. Told before the workers of `prefork`
    /// are renewed, in the master.
    Reload,
    /// A run ends: the listeners close, and the requests that are alive are told.
    Draining,
    /// A run has ended. Every request of it has had its stop.
    Drained(&'a DrainReport),
    /// Another process of the same program was started, which is to take over.
    #[non_exhaustive]
    Upgrading {
        /// Its process.
        pid: u32,
    },
    /// It has taken over: this one drains.
    #[non_exhaustive]
    Upgraded {
        /// The process that accepts from now on.
        pid: u32,
    },
    /// It could not take over: this one goes on.
    #[non_exhaustive]
    UpgradeFailed {
        /// Why.
        why: &'a str,
    },
    /// A worker process of `prefork` was started. Told in the master.
    #[non_exhaustive]
    WorkerStarted {
        /// Its number, which its successor will have too.
        worker: usize,
        /// Its process.
        pid: u32,
    },
    /// A worker process of `prefork` has ended. Told in the master.
    #[non_exhaustive]
    WorkerEnded {
        /// Its number.
        worker: usize,
        /// Its process.
        pid: u32,
        /// How it ended.
        status: ExitStatus,
    },
}

/// The beginning of a request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Start<'a> {
    /// Its number: no two requests of a server have the same.
    pub request: u64,
    /// The other end.
    pub peer: &'a Address,
    /// Where the peer connected or sent to, if that is known without asking the kernel.
    pub local: Option<&'a Address>,
    /// What carries it; `None` if that is an own transport.
    pub transport: Option<Kind>,
    /// When it was accepted.
    pub when: Instant,
}

/// The end of a request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Stop<'a> {
    /// Its number, as at its start.
    pub request: u64,
    /// The other end.
    pub peer: &'a Address,
    /// What carried it; `None` if that was an own transport.
    pub transport: Option<Kind>,
    /// How long it took, from its start until its end was sent.
    pub duration: Duration,
    /// How many bytes it received.
    pub bytes_in: u64,
    /// How many bytes it sent.
    pub bytes_out: u64,
    /// How far it came: [`Close`](Phase::Close) if it finished, else where it failed or was given up.
    pub phase: Phase,
    /// Why it ended.
    pub reason: Reason,
}
