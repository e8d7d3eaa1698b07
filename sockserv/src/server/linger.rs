//! Closing loses nothing: the peer's unread bytes are drained, for a bounded time, before its socket is closed.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::sync::Arc;

use crate::requests::{Requests, lock};
use crate::sys::clock::Tick;
use crate::sys::poller::{Interest, Poller};
use crate::transport::{LINGER_BYTES, Linger, Transport, Wait};

/// Tokens of lingering sockets in the poller begin here.
pub(crate) const TOKENS: u64 = 2 << 32;

/// How many may linger at once: half of the descriptors that `max_connections` leaves free. Then one of those that were
/// refused or said nothing is closed, or else the oldest: a flood of refusals must cost nobody his reply.
const MOST: usize = 16;

/// The sockets that are half closed.
#[derive(Debug, Default)]
pub(crate) struct Lingering {
    sockets: VecDeque<Socket>,
    next: u64,
}

#[derive(Debug)]
struct Socket {
    transport: Arc<dyn Transport>,
    token: u64,
    linger: Linger,
    until: Tick,
    left: usize,
}

impl Lingering {
    /// Takes over the streams whose requests have ended.
    pub(crate) fn take(&mut self, requests: &Requests) {
        for (transport, linger) in std::mem::take(&mut *lock(&requests.lingering)) {
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
            token,
            until: Tick::now().after(linger.time()),
            linger,
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
        self.sockets.push_back(socket);
        if self.sockets.len() > MOST {
            let quiet = |socket: &Socket| socket.linger == Linger::Quiet;
            let first = self.sockets.iter().position(quiet).unwrap_or(0);
            let first = self.sockets.remove(first);
            first.inspect(|socket| socket.leave(poller));
        }
    }

    /// A peer has said something, or has left.
    pub(crate) fn ready(&mut self, token: u64, poller: &Poller) {
        self.keep(poller, |socket| socket.token != token || socket.drain());
    }

    /// Closes those whose time is over.
    pub(crate) fn expire(&mut self, poller: &Poller) {
        if !self.sockets.is_empty() {
            let now = Tick::now();
            self.keep(poller, |socket| socket.until > now);
        }
    }

    fn keep(&mut self, poller: &Poller, mut stays: impl FnMut(&mut Socket) -> bool) {
        self.sockets.retain_mut(|socket| {
            let stays = stays(socket);
            if !stays {
                socket.leave(poller);
            }
            stays
        });
    }

    /// When the next one's time is over.
    pub(crate) fn next(&self) -> Option<Tick> {
        self.sockets.iter().map(|socket| socket.until).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Whether closing all now would lose something.
    pub(crate) fn holds_replies(&self) -> bool {
        self.sockets
            .iter()
            .any(|socket| socket.linger == Linger::Talking)
    }

    /// Closes all.
    pub(crate) fn clear(&mut self, poller: &Poller) {
        self.keep(poller, |_| false);
    }
}

impl Socket {
    /// Takes it out of the poll set: a child that was made meanwhile holds it, too, so that closing it here does not.
    fn leave(&self, poller: &Poller) {
        let _ = poller.remove(&*self.transport); // It is there until now, but in a new worker.
    }

    /// Reads what has arrived; returns whether there may be more.
    fn drain(&mut self) -> bool {
        let mut sink = [0; 4096];
        while self.left > 0 {
            match self.transport.recv(&mut sink, Wait::Not) {
                Ok(0) => return false,
                Ok(count) => self.left = self.left.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        false
    }
}
