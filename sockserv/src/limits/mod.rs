//! What keeps a server within bounds, whoever comes: access lists, rates, and how many requests may be alive.
//!
//! All of it may change while the server runs, from any of its processes: it stands in memory that they share.

mod access;
pub(crate) mod network;
mod peer;
mod rate;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

use crate::address::Address;
use crate::observer::Refusal;
use crate::options::{OnFull, Options};
use crate::sys::clock::Tick;
use crate::sys::shared::{Memory, Shared};
use access::Access;
pub(crate) use access::List;
use network::{Network, NetworkError};
pub(crate) use peer::Peer;
use peer::Peers;
use rate::Rates;

/// The limits of one server.
pub(crate) struct Limits {
    live: Shared<Live>,
    peers: Peers,
    access: Access,
    rates: Rates,
    /// How many slots the table has: `max_connections` can be raised so far.
    capacity: u32,
}

/// The numbers that may change. Each stands alone, so no order between them matters; zero is "no limit".
#[derive(Default)]
#[repr(C)]
struct Live {
    max_connections: AtomicU32,
    per_peer: AtomicU32,
    accept_rate: AtomicU32,
    refuses: AtomicBool,
}

crate::sys::shared::shareable!(Live);

impl Limits {
    /// Begins with what the options say, for a table of so many slots.
    pub(crate) fn new(
        memory: &mut Memory,
        options: &Options,
        most: usize,
        capacity: usize,
    ) -> io::Result<Self> {
        let limits = Self {
            live: memory.table(1)?,
            peers: Peers::new(memory, capacity)?,
            access: Access::new(memory)?,
            rates: Rates::new(memory)?,
            capacity: u32::try_from(capacity).map_err(|_| io::ErrorKind::OutOfMemory)?,
        };
        limits.set_max_connections(most);
        limits.set_per_peer(options.max_connections_per_peer);
        limits.set_accept_rate(options.accept_rate);
        limits.set_on_full(options.on_full);
        limits.set_list(List::Allow, &options.allow)?;
        limits.set_list(List::Deny, &options.deny)?;
        Ok(limits)
    }

    /// Whether a request of this peer is refused whatever the server does: by the lists, or because it comes too often.
    /// One that is not counts against its peer's rate.
    pub(crate) fn refuses(&self, peer: &Address) -> Option<Refusal> {
        let inet = peer.as_inet()?;
        if !self.access.allows(inet.ip()) {
            return Some(Refusal::Access);
        }
        let rate = self.accept_rate()?;
        let admitted = self.rates.admits(Peer::of(peer)?, rate, Tick::now());
        (!admitted).then_some(Refusal::Rate)
    }

    /// Whether this peer has as many requests as it may have, among the first `used` slots.
    #[inline]
    pub(crate) fn has_enough(&self, peer: &Address, used: u32) -> bool {
        self.per_peer().is_some_and(|most| {
            Peer::of(peer).is_some_and(|peer| self.peers.count(peer, used) >= most)
        })
    }

    /// Whether this peer has more than it may have, the slot that it was just given included. Of two processes that give
    /// it one at the same moment at least one finds out.
    #[inline]
    pub(crate) fn has_too_many(&self, peer: &Address, used: u32) -> bool {
        self.per_peer().is_some_and(|most| {
            fence(Ordering::SeqCst); // Between the own store in `taken` and the look at the others', in both of them.
            Peer::of(peer).is_some_and(|peer| self.peers.count(peer, used) > most)
        })
    }

    /// A slot is this peer's from now on.
    pub(crate) fn taken(&self, slot: u32, peer: &Address) {
        self.peers.set(slot, Peer::of(peer));
    }

    /// A slot's request has ended.
    pub(crate) fn ended(&self, slot: u32) {
        self.peers.clear(slot);
    }

    pub(crate) fn max_connections(&self) -> u32 {
        self.live[0].max_connections.load(Ordering::SeqCst)
    }

    /// Returns what is in effect: at least one, at most as many as the table has slots.
    pub(crate) fn set_max_connections(&self, most: usize) -> u32 {
        let most = at_least_one(most).min(self.capacity);
        // SeqCst: an accept loop that finds the table full has asked for a wake-up, or finds this.
        self.live[0].max_connections.store(most, Ordering::SeqCst);
        most
    }

    pub(crate) fn per_peer(&self) -> Option<usize> {
        let most = self.live[0].per_peer.load(Ordering::Relaxed);
        (most != 0).then_some(most as usize)
    }

    pub(crate) fn set_per_peer(&self, most: Option<usize>) {
        let most = most.map_or(0, at_least_one);
        self.live[0].per_peer.store(most, Ordering::Relaxed);
    }

    pub(crate) fn accept_rate(&self) -> Option<u32> {
        let rate = self.live[0].accept_rate.load(Ordering::Relaxed);
        (rate != 0).then_some(rate)
    }

    pub(crate) fn set_accept_rate(&self, rate: Option<u32>) {
        let rate = rate.map_or(0, |rate| rate.max(1));
        self.live[0].accept_rate.store(rate, Ordering::Relaxed);
    }

    pub(crate) fn on_full(&self) -> OnFull {
        match self.live[0].refuses.load(Ordering::Relaxed) {
            true => OnFull::Refuse,
            false => OnFull::Wait,
        }
    }

    pub(crate) fn set_on_full(&self, on_full: OnFull) {
        let refuses = on_full == OnFull::Refuse;
        self.live[0].refuses.store(refuses, Ordering::Relaxed);
    }

    pub(crate) fn list(&self, list: List) -> Vec<Network> {
        self.access.list(list)
    }

    pub(crate) fn set_list<N: AsRef<str>>(
        &self,
        list: List,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<(), NetworkError> {
        let networks = networks
            .into_iter()
            .map(|network| network.as_ref().parse())
            .collect::<Result<Vec<Network>, _>>()?;
        self.access.replace(list, &networks)
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

/// None at all would serve nobody: that is what `suspend` is for.
fn at_least_one(most: usize) -> u32 {
    u32::try_from(most).unwrap_or(u32::MAX).max(1)
}
