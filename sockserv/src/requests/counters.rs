//! What is counted of a server's requests, by all its processes together.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::requests::{Requests, Slot, Stats};

/// What the requests of one place count, one after another: no atomic addition is needed.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.all() + more, Ordering::Relaxed);
    }

    /// Takes one back.
    pub(super) fn take_back(&self) {
        self.0.store(self.all() - 1, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters that belong to no slot.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Counters {
    refused: AtomicU64,
    /// The number of the last request that observers were told of.
    pub(super) observed: AtomicU64,
}

impl Requests {
    pub(super) fn counters(&self) -> &Counters {
        &self.control().counters
    }

    fn sum(&self, count: impl Fn(&Slot) -> &Count) -> u64 {
        self.used_slots().iter().map(|slot| count(slot).all()).sum()
    }

    /// How many requests are alive.
    pub(crate) fn active(&self) -> u32 {
        if !self.is_in_use() {
            return 0;
        }
        // SeqCst, and behind the places: an end is seen here, or it sees that a wake-up is wanted.
        let is_alive = |slot: &&Slot| slot.owed.load(Ordering::SeqCst);
        self.used_slots().iter().filter(is_alive).count() as u32
    }

    /// Whether what is alive here is nothing but requests that a model holds.
    pub(crate) fn are_all_held(&self) -> bool {
        let (mut alive, mut held) = (0, 0);
        self.for_each(|slot, _| {
            alive += 1;
            held += u32::from(slot.is_held());
        });
        alive > 0 && held == alive
    }

    /// Whether any request is alive, or has not yet given its place back.
    pub(crate) fn is_in_use(&self) -> bool {
        self.control().places.taken() > 0
    }

    pub(crate) fn count_refused(&self) {
        self.counters().refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were alive when so many had ended, or came later.
    pub(crate) fn alive_since(&self, ended: u64) -> u64 {
        self.sum(|slot| &slot.accepted).saturating_sub(ended)
    }

    /// How many requests have ended so far, well or not.
    pub(crate) fn ended(&self) -> u64 {
        self.sum(|slot| &slot.finished) + self.sum(|slot| &slot.failed)
    }

    pub(crate) fn stats(&self) -> Stats {
        let refused = self.counters().refused.load(Ordering::Relaxed);
        Stats {
            accepted: self.sum(|slot| &slot.accepted) + refused,
            active: u64::from(self.active()),
            finished: self.sum(|slot| &slot.finished),
            failed: self.sum(|slot| &slot.failed),
            refused,
            bytes_in: self.sum(|slot| &slot.bytes_in.all),
            bytes_out: self.sum(|slot| &slot.bytes_out.all),
        }
    }
}
