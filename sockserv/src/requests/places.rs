//! Which places of the table are taken: given out and taken back by any thread of any process, without a lock.
//!
//! `tests/model.rs` compiles this very file against loom's atomics and tries the interleavings.

use crate::sys::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, spin_loop};

/// All bytes zero is a table whose places are all free.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Places {
    /// How many are taken, those included that are about to be taken or given back.
    taken: AtomicU32,
    /// How many were ever taken: those behind them are free, and their memory untouched.
    used: AtomicU32,
    /// The first free one, counted from one, in the lower half; a count of changes in the upper half tells two equal ones
    /// apart.
    free: AtomicU64,
    /// Whether somebody waits for a place, or for the end of a request.
    wanted: AtomicBool,
}

impl Places {
    /// Takes a place if fewer than `most` are taken. `next` is where a place keeps the one that is free after it.
    pub(crate) fn take<'a>(
        &self,
        most: u32,
        capacity: u32,
        next: impl Fn(u32) -> &'a AtomicU32,
    ) -> Option<u32> {
        let more = |taken: u32| (taken < most.min(capacity)).then_some(taken + 1);
        // SeqCst: who finds it full has said `want` before, and sees what was given back, or its giver sees the wish.
        self.taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .ok()?;
        loop {
            // There is one for each that is counted, but it may move from the one heap to the other in between.
            if let Some(place) = self.take_free(&next).or_else(|| self.take_unused(capacity)) {
                return Some(place);
            }
            spin_loop();
        }
    }

    fn take_free<'a>(&self, next: impl Fn(u32) -> &'a AtomicU32) -> Option<u32> {
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            let place = (head as u32).checked_sub(1)?;
            let after = next(place).load(Ordering::Relaxed);
            // Acquire pairs with the release in `give_back`: the place's last words are seen before it is used again.
            match self.free.compare_exchange_weak(
                head,
                changed(head, after),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(place),
                Err(now) => head = now,
            }
        }
    }

    fn take_unused(&self, capacity: u32) -> Option<u32> {
        let more = |used: u32| (used < capacity).then_some(used + 1);
        let used = &self.used;
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()
    }

    /// Gives a place back; `next` is its own.
    pub(crate) fn give_back(&self, place: u32, next: &AtomicU32) {
        let mut head = self.free.load(Ordering::Relaxed);
        loop {
            next.store(head as u32, Ordering::Relaxed);
            match self.free.compare_exchange_weak(
                head,
                changed(head, place + 1),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        self.taken.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn is_full(&self, most: u32) -> bool {
        self.taken.load(Ordering::SeqCst) >= most
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

    /// Whether somebody is to be told of an end that was just counted.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }
}

/// The next head of the free list: another first place, and one more change.
fn changed(head: u64, first: u32) -> u64 {
    ((head >> 32).wrapping_add(1) << 32) | u64::from(first)
}
