//! What is counted of a server's requests, by all its processes together.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::requests::slot::Slot;
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
    /// What requests received and sent whose slots were taken again since.
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Counters {
    /// Keeps what a request received and sent whose slot is taken again.
    pub(super) fn keep_bytes(&self, slot: &Slot) {
        let bytes = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (received, sent) = (bytes(&slot.bytes_in), bytes(&slot.bytes_out));
        self.bytes_in.fetch_add(received, Ordering::Relaxed);
        self.bytes_out.fetch_add(sent, Ordering::Relaxed);
    }
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
            .load(Ordering::Relaxed)
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

    /// How many requests have ended so far, well or not.
    pub(crate) fn ended(&self) -> u64 {
        let counters = self.counters();
        counters.finished.load(Ordering::Relaxed) + counters.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn stats(&self) -> Stats {
        let counters = self.counters();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut stats = Stats {
            accepted: self.accepted(),
            active: u64::from(self.active()),
            finished: get(&counters.finished),
            failed: get(&counters.failed),
            refused: get(&counters.refused),
            bytes_in: get(&counters.bytes_in),
            bytes_out: get(&counters.bytes_out),
        };
        for slot in self.used_slots() {
            stats.bytes_in += get(&slot.bytes_in);
            stats.bytes_out += get(&slot.bytes_out);
        }
        stats
    }
}
