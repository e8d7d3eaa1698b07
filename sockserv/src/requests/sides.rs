//! The sockets of live requests: known to the accepting process only, so beside the slots, which are shared.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use crate::transport::Transport;

/// How many are made at once, at most: a table that may grow large costs nothing until it is used.
const CHUNK: usize = 256;

/// What only the accepting process knows of a live request: its socket.
pub(super) type Side = Option<Arc<dyn Transport>>;

/// Those of so many slots that follow each other.
type Chunk = Box<[Mutex<Side>]>;

/// One for each slot of the table, made when it is first asked for.
pub(super) struct Sides {
    slots: usize,
    chunks: Box<[OnceLock<Chunk>]>,
}

impl Sides {
    pub(super) fn new(slots: usize) -> Self {
        let chunks = slots.div_ceil(CHUNK);
        let chunks = (0..chunks).map(|_| OnceLock::new()).collect();
        Self { slots, chunks }
    }

    pub(super) fn of(&self, slot: u32) -> &Mutex<Side> {
        let (chunk, index) = (slot as usize / CHUNK, slot as usize % CHUNK);
        let chunk = self.chunks[chunk].get_or_init(|| {
            let (first, end) = (chunk * CHUNK, (chunk + 1) * CHUNK);
            let slots = first..end.min(self.slots);
            slots.map(|_| Mutex::default()).collect()
        });
        &chunk[index]
    }
}

impl fmt::Debug for Sides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sides").finish_non_exhaustive()
    }
}
