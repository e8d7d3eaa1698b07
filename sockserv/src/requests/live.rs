//! The live requests, for somebody who looks at them.

use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;

use crate::drain::Unfinished;
use crate::requests::Requests;

/// A live request.
#[derive(Debug)]
pub(crate) struct Live {
    /// Its number, if somebody observes it.
    pub(crate) request: Option<u64>,
    /// The worker process that has it, or zero.
    pub(crate) process: u32,
    pub(crate) is_idle: bool,
    pub(crate) state: Unfinished,
}

impl Requests {
    /// The oldest of the live requests, at most so many, the oldest first.
    pub(crate) fn oldest(&self, most: usize) -> Vec<Live> {
        let mut oldest = BinaryHeap::with_capacity(most + 1);
        self.for_each(|slot, index| {
            oldest.push((slot.started.load(Ordering::Relaxed), index));
            if oldest.len() > most {
                oldest.pop();
            }
        });
        let oldest = oldest.into_sorted_vec().into_iter();
        oldest.map(|(_, index)| self.live(index)).collect()
    }

    fn live(&self, index: u32) -> Live {
        let slot = self.slot(index);
        Live {
            request: slot.request(),
            process: slot.process.load(Ordering::Relaxed),
            is_idle: self.is_idle(slot),
            state: self.describe(index),
        }
    }
}
