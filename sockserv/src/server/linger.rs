//! Closing loses nothing: the peer's unread bytes are drained, for a bounded time, before its socket is closed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::Shutdown;
use std::sync::Arc;

use crate::options::descriptors;
use crate::requests::Requests;
use crate::sys::clock::Tick;
use crate::sys::poller::{Interest, Poller};
use crate::transport::{LINGER_BYTES, Linger, Transport, drain};

/// Tokens of lingering sockets in the poller begin here.
pub(crate) const TOKENS: u64 = 2 << 32;

/// How many may linger at once at least: half of the descriptors that `max_connections` leaves free at its most.
const MIN_LINGERING: usize = 16;

/// And at most, however many descriptors there are: each may hold memory of the kernel's for two seconds.
const MAX_LINGERING: usize = 4096;

/// The sockets that are half closed.
///
/// Half of the descriptors that `max_connections` leaves free are for them. Beyond that one of those that were refused or
/// said nothing is closed, or else the oldest: a flood of refusals must cost nobody his reply.
#[derive(Debug)]
pub(crate) struct Lingering {
    talking: Sockets,
    quiet: Sockets,
    next: u64,
    /// How many the process may have open.
    descriptors: usize,
}

/// By their tokens, and so in the order in which their time will be over: all of a kind have the same.
type Sockets = BTreeMap<u64, Socket>;

#[derive(Debug)]
struct Socket {
    transport: Arc<dyn Transport>,
    until: Tick,
    left: usize,
}

impl Lingering {
    pub(crate) fn new() -> Self {
        Self {
            talking: Sockets::new(),
            quiet: Sockets::new(),
            next: 0,
            descriptors: descriptors(),
        }
    }

    /// Takes over the streams whose requests have ended.
    pub(crate) fn take(&mut self, requests: &Requests) {
        for (transport, linger) in requests.lingering.take() {
            self.add(requests, transport, linger);
        }
    }

    /// Sends end-of-file, and drains what the peer still says.
    pub(crate) fn add(
        &mut self,
        requests: &Requests,
        transport: Arc<dyn Transport>,
        linger: Linger,
    ) {
        if transport.shutdown(Shutdown::Write).is_err() {
            return; // The peer has left.
        }
        self.next += 1;
        let token = TOKENS + (self.next & u64::from(u32::MAX));
        let mut socket = Socket {
            transport,
            until: Tick::now().after(linger.time()),
            left: LINGER_BYTES,
        };
        let Some(fd) = socket.transport.descriptor() else {
            return;
        };
        // The request may have waited there before. Without memory for the poll set it is closed at once: the
        // peer may see a reset.
        let poller = &requests.poller;
        let watched = poller
            .add(fd, token, Interest::IN)
            .or_else(|_| poller.modify(fd, token, Interest::IN));
        if watched.is_err() || !socket.drain() {
            return socket.leave(poller);
        }
        match linger {
            Linger::Talking => self.talking.insert(token, socket),
            Linger::Quiet => self.quiet.insert(token, socket),
        };
        while self.talking.len() + self.quiet.len() > self.most(requests) {
            let first = self.quiet.pop_first().or_else(|| self.talking.pop_first());
            first.inspect(|(_, socket)| socket.leave(poller));
        }
    }

    fn most(&self, requests: &Requests) -> usize {
        let spare = self
            .descriptors
            .saturating_sub(requests.limits.max_connections() as usize);
        (spare / 2).clamp(MIN_LINGERING, MAX_LINGERING)
    }

    fn kinds(&mut self) -> [&mut Sockets; 2] {
        [&mut self.talking, &mut self.quiet]
    }

    /// A peer has said something, or has left.
    pub(crate) fn ready(&mut self, token: u64, poller: &Poller) {
        for sockets in self.kinds() {
            if let Entry::Occupied(mut socket) = sockets.entry(token)
                && !socket.get_mut().drain()
            {
                socket.remove().leave(poller);
            }
        }
    }

    /// Closes those whose time is over.
    pub(crate) fn expire(&mut self, poller: &Poller) {
        if !self.is_empty() {
            self.leave_until(Tick::now(), poller);
        }
    }

    fn leave_until(&mut self, now: Tick, poller: &Poller) {
        for sockets in self.kinds() {
            while let Some(first) = sockets
                .first_entry()
                .filter(|first| first.get().until <= now)
            {
                first.remove().leave(poller);
            }
        }
    }

    /// When the next one's time is over.
    pub(crate) fn next(&self) -> Option<Tick> {
        let first = |sockets: &Sockets| sockets.first_key_value().map(|(_, socket)| socket.until);
        [&self.talking, &self.quiet]
            .into_iter()
            .filter_map(first)
            .min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.talking.is_empty() && self.quiet.is_empty()
    }

    /// Whether closing all now would lose something.
    pub(crate) fn holds_replies(&self) -> bool {
        !self.talking.is_empty()
    }

    /// Closes all.
    pub(crate) fn clear(&mut self, poller: &Poller) {
        self.leave_until(Tick(u64::MAX), poller);
    }
}

impl Socket {
    /// Takes it out of the poll set: a child that was made meanwhile holds it, too, so that closing it here does not.
    fn leave(&self, poller: &Poller) {
        let _ = poller.remove(&*self.transport); // It is there until now, but in a new worker.
    }

    fn drain(&mut self) -> bool {
        drain(&*self.transport, &mut self.left)
    }
}
