//! What is counted of a server's requests, by all its processes together.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::requests::{Requests, Stats};

#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) finished: AtomicU64,
    pub(super) failed: AtomicU64,
    refused: AtomicU64,
    /// The number of the last request that observers were told of.
    pub(super) observed: AtomicU64,
}

impl Requests {
    pub(super) fn counters(&self) -> &Counters {
        &self.control().counters
    }

    pub(crate) fn active(&self) -> u32 {
        let counters = self.counters();
        // SeqCst pairs with `settle`: its end is seen here, or it sees that a wake-up is wanted.
        let ended =
            counters.finished.load(Ordering::SeqCst) + counters.failed.load(Ordering::SeqCst);
        counters
            .accepted
            .load(Ordering::SeqCst)
            .saturating_sub(ended) as u32
    }

    pub(crate) fn count_refused(&self) {
        self.counters().refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were taken so far, those that were refused included.
    pub(crate) fn accepted(&self) -> u64 {
        let counters = self.counters();
        counters.accepted.load(Ordering::Relaxed) + counters.refused.load(Ordering::Relaxed)
    }

    /// How many requests were alive when so many had ended, or came later.
    pub(crate) fn alive_since(&self, ended: u64) -> u64 {
        let accepted = self.counters().accepted.load(Ordering::Relaxed);
        accepted.saturating_sub(ended)
    }

    /// How many requests have ended so far, well or not.
    pub(crate) fn ended(&self) -> u64 {
        let counters = self.counters();
        counters.finished.load(Ordering::Relaxed) + counters.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn stats(&self) -> Stats {
        let counters = self.counters();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let slots = self.used_slots();
        Stats {
            accepted: self.accepted(),
            active: u64::from(self.active()),
            finished: get(&counters.finished),
            failed: get(&counters.failed),
            refused: get(&counters.refused),
            bytes_in: slots.iter().map(|slot| slot.bytes_in.all()).sum(),
            bytes_out: slots.iter().map(|slot| slot.bytes_out.all()).sum(),
        }
    }
}
