//! Which places of the table are taken: given out and taken back by any thread of any process, without a lock.
//!
//! `tests/model.rs` compiles this very file against loom's atomics and tries the interleavings.

use crate::sys::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// How many bits count places; the rest of a [`State`] counts its changes.
const BITS: u32 = 22;

/// How many places a table can have.
pub(crate) const MOST: u32 = (1 << BITS) - 1;

/// All bytes zero is a table whose places are all free.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Places {
    /// A [`State`]: one change of it takes a place or gives it back.
    state: AtomicU64,
    /// How many were ever taken: those behind them are free, and their memory untouched.
    used: AtomicU32,
    /// Whether somebody waits for a place, or for the end of a request.
    wanted: AtomicBool,
}

/// In the lowest bits the first free place, counted from one; then how many are taken; then a count of changes, so that no
/// two states are equal.
#[derive(Clone, Copy)]
struct State(u64);

impl State {
    fn free(self) -> u32 {
        self.0 as u32 & MOST
    }

    fn taken(self) -> u32 {
        (self.0 >> BITS) as u32 & MOST
    }

    fn change(self, free: u32, taken: u32) -> u64 {
        let changes = (self.0 >> (2 * BITS)).wrapping_add(1);
        (changes << (2 * BITS)) | (u64::from(taken) << BITS) | u64::from(free)
    }
}

impl Places {
    /// Takes a place if fewer than `most` are taken, which is at most [`MOST`]. `next` is where a place keeps the one that is
    /// free after it.
    pub(crate) fn take<'a>(&self, most: u32, next: impl Fn(u32) -> &'a AtomicU32) -> Option<u32> {
        // SeqCst pairs with `want`: either this taker sees the place that was given back, or its giver sees the wish.
        let mut now = self.state.load(Ordering::SeqCst);
        loop {
            let state = State(now);
            if state.taken() >= most {
                return None;
            }
            let free = state.free().checked_sub(1);
            let after = free.map_or(0, |place| next(place).load(Ordering::Relaxed));
            // It pairs with `give_back`, too: the place's last words are seen before it is used again.
            match self.state.compare_exchange_weak(
                now,
                state.change(after, state.taken() + 1),
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                // If none was free again, all that were ever taken still are: there is one behind them.
                Ok(_) => return free.or_else(|| Some(self.used.fetch_add(1, Ordering::Relaxed))),
                Err(other) => now = other,
            }
        }
    }

    /// Gives a place back; `next` is its own.
    pub(crate) fn give_back(&self, place: u32, next: &AtomicU32) {
        let mut now = self.state.load(Ordering::Relaxed);
        loop {
            let state = State(now);
            next.store(state.free(), Ordering::Relaxed);
            match self.state.compare_exchange_weak(
                now,
                state.change(place + 1, state.taken() - 1),
                Ordering::SeqCst,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }

    /// How many are taken, those included that are about to be given back.
    pub(crate) fn taken(&self) -> u32 {
        State(self.state.load(Ordering::SeqCst)).taken()
    }

    pub(crate) fn is_full(&self, most: u32) -> bool {
        self.taken() >= most
    }

    /// How many were ever taken.
    pub(crate) fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// Asks to be told of the next end. The caller must look at what it waits for once more afterwards.
    pub(crate) fn want(&self) {
        self.wanted.store(true, Ordering::SeqCst); // Pairs with `is_wanted`, after the end was counted.
    }

    /// Takes the wish back; returns whether there was one, which may have been somebody else's.
    pub(crate) fn want_no_longer(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) && self.wanted.swap(false, Ordering::SeqCst)
    }

    /// Whether an accept loop must be woken because a request has just ended.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }
}
