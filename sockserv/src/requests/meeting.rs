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
