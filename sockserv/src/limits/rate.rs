//! How often one peer may come: GCRA (ITU-T I.371), which needs one word a peer, in a table of a fixed size.
//!
//! The word is the peer's *theoretical arrival time*: when its next request were due if it came exactly at the rate. One
//! that comes earlier than a second before that is refused. A time that has passed says nothing any more, so its place is
//! free; if all places of a peer's set are taken, it is refused: a flood from everywhere must not lift the limit.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::peer::Peer;
use crate::sys::clock::Tick;
use crate::sys::shared::{Memory, Shared};

/// How many peers the table holds: 64 KiB. A place is taken for a second at most, so that many others may come a second.
const ENTRIES: usize = 4096;

/// How many places a peer may have its own in: one cache line's worth, twice.
const WAYS: usize = 8;

const SECOND: u64 = 1_000_000_000;

/// Who came lately.
pub(super) struct Rates {
    entries: Shared<Entry>,
    /// Chooses the set, so that nobody can aim at another's. Made before any fork, so all processes have the same.
    hash: RandomState,
}

#[derive(Default)]
#[repr(C)]
struct Entry {
    peer: AtomicU64,
    /// Its theoretical arrival time.
    due: AtomicU64,
}

crate::sys::shared::shareable!(Entry);

/// When the peer's next request is due if this one is admitted; `None` refuses it. The burst is a second's worth.
fn next(due: u64, now: Tick, rate: u32) -> Option<u64> {
    let rate = u64::from(rate.max(1));
    let interval = SECOND.div_ceil(rate); // Rounded up, so that it is never more than the rate.
    let due = due.max(now.0);
    (due - now.0 <= interval * (rate - 1)).then(|| due + interval)
}

impl Rates {
    pub(super) fn new(memory: &mut Memory) -> io::Result<Self> {
        Ok(Self {
            entries: memory.table(ENTRIES)?,
            hash: RandomState::new(),
        })
    }

    /// Counts a request of this peer, unless it is one too many.
    #[inline(never)] // Off the way of servers without a rate.
    pub(super) fn admits(&self, peer: Peer, rate: u32, now: Tick) -> bool {
        let (set, own) = (self.set(peer), peer.get());
        loop {
            let mut entries = set.iter();
            let Some(entry) = entries.find(|entry| entry.peer.load(Ordering::Relaxed) == own)
            else {
                // Acquire pairs with the release below: whose time is seen, his name is seen too at the next look.
                let Some(free) = set
                    .iter()
                    .find(|entry| entry.due.load(Ordering::Acquire) <= now.0)
                else {
                    return false;
                };
                // The name first, so that another process that sees this peer finds it. If somebody else's is there now,
                // the next look goes on from that.
                let last = free.peer.load(Ordering::Relaxed);
                let _ = free
                    .peer
                    .compare_exchange(last, own, Ordering::Relaxed, Ordering::Relaxed);
                continue;
            };
            let due = entry.due.load(Ordering::Acquire);
            let Some(next) = next(due, now, rate) else {
                return false;
            };
            let counted =
                entry
                    .due
                    .compare_exchange(due, next, Ordering::AcqRel, Ordering::Relaxed);
            if counted.is_ok() {
                return true;
            }
        }
    }

    fn set(&self, peer: Peer) -> &[Entry] {
        const SETS: u64 = (ENTRIES / WAYS) as u64;
        let begin = (self.hash.hash_one(peer) % SETS) as usize * WAYS;
        &self.entries[begin..begin + WAYS]
    }
}

#[cfg(test)]
mod tests;
