//! Where a request that begins to wait and a drain that begins meet: at least one of them sees the other.
//!
//! `tests/model.rs` compiles this very file against loom's atomics and tries the interleavings.

use crate::sys::atomic::{AtomicU64, Ordering};

/// Since when a request waits for its peer, or zero.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Waiting(AtomicU64);

impl Waiting {
    /// The request begins to wait. Only then may it ask whether a drain has begun: that finds one that does not find it.
    pub(crate) fn begin(&self, now: u64) {
        self.0.store(now, Ordering::SeqCst);
    }

    pub(crate) fn end(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Since when it waits. A drain asks this once it has begun.
    pub(crate) fn since(&self) -> Option<u64> {
        Some(self.0.load(Ordering::SeqCst)).filter(|&since| since != 0)
    }
}

/// Something that happens once, and what was counted just before: whoever sees that it has happened sees the count.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Counted {
    once: Once,
    /// And one, or zero.
    count: AtomicU64,
}

impl Counted {
    /// It happens now, if it has not before.
    pub(crate) fn happen(&self, now: u64, count: impl FnOnce() -> u64) {
        if self.when().is_some() {
            return;
        }
        // Another may have counted already, and is about to say that it has happened.
        let _ = self
            .count
            .compare_exchange(0, count() + 1, Ordering::SeqCst, Ordering::SeqCst);
        self.once.happen(now);
    }

    pub(crate) fn when(&self) -> Option<u64> {
        self.once.when()
    }

    /// What was counted; zero if it has not happened.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst).saturating_sub(1)
    }

    /// It has not happened: a new run.
    pub(crate) fn forget(&self) {
        self.count.store(0, Ordering::SeqCst); // While it has still happened, nobody counts.
        self.once.forget();
    }
}

/// When something that happens once did, or zero.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Once(AtomicU64);

impl Once {
    /// It happens now; returns whether it had not before.
    pub(crate) fn happen(&self, now: u64) -> bool {
        self.0
            .compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    pub(crate) fn when(&self) -> Option<u64> {
        Some(self.0.load(Ordering::SeqCst)).filter(|&when| when != 0)
    }

    /// It has not happened: a new run.
    pub(crate) fn forget(&self) {
        self.0.store(0, Ordering::SeqCst);
    }
}
