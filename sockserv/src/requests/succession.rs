//! One process takes the place of another: who accepts, and who does no more.

#[cfg(feature = "upgrade")]
use std::sync::atomic::AtomicU32;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::requests::{Requests, Slot};

#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Succession {
    /// Whether another process still accepts, whose place this one is to take.
    held: AtomicBool,
    /// Whether another process accepts now.
    handed_over: AtomicBool,
    /// How often an upgrade was asked for.
    #[cfg(feature = "upgrade")]
    upgrades: AtomicU32,
}

impl Requests {
    pub(crate) fn is_held(&self) -> bool {
        self.control().succession.held.load(Ordering::SeqCst)
    }

    /// Whether another process accepts, in whose place this one will be, or was.
    pub(crate) fn another_accepts(&self) -> bool {
        self.is_held() || self.is_handed_over()
    }

    pub(crate) fn is_handed_over(&self) -> bool {
        self.control().succession.handed_over.load(Ordering::SeqCst)
    }

    /// Another run begins.
    pub(super) fn forget_successor(&self) {
        let handed_over = &self.control().succession.handed_over;
        handed_over.store(false, Ordering::SeqCst);
    }

    /// Whether a request's handler waits for its peer, and the end may come at any time of a drain.
    pub(crate) fn is_idle(&self, slot: &Slot) -> bool {
        // Pairs with the handler's own stores, which come before its `waiting`.
        slot.waiting.since().is_some() && self.may_end(slot)
    }

    /// Whether a drain may end a request: its handler owes nothing, and the peer that has just come does not notice. Where
    /// others serve on, its first words may be on their way, and would have been answered.
    pub(crate) fn may_end(&self, slot: &Slot) -> bool {
        let others_serve_on = || match self.is_server_ending() {
            true => self.is_handed_over(),
            false => self.is_retired(),
        };
        slot.owes_nothing() && !(slot.is_silent() && others_serve_on())
    }
}

#[cfg(feature = "upgrade")]
impl Requests {
    /// Accepts nothing before [`release`](Self::release): another process still does.
    pub(crate) fn hold(&self) {
        self.control().succession.held.store(true, Ordering::SeqCst);
    }

    /// Accepts from now on, in all processes of this server.
    pub(crate) fn release(&self) {
        self.control()
            .succession
            .held
            .store(false, Ordering::SeqCst);
        self.ring();
    }

    /// It could accept, if it were not held.
    pub(crate) fn note_prepared(&self) {
        self.prepared.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_prepared(&self) -> bool {
        !self.is_held() || self.prepared.load(Ordering::SeqCst)
    }

    /// Another process accepts from now on: this one drains.
    pub(crate) fn hand_over(&self) {
        self.control()
            .succession
            .handed_over
            .store(true, Ordering::SeqCst); // Before anybody drains because of it.
        self.note_shutdown();
        self.note_drain(); // Nobody needs to notice, so there is no lame duck.
        self.pull_life_line();
        self.ring();
    }

    /// Asks the process that bound the server for an upgrade.
    pub(crate) fn ask_upgrade(&self) {
        self.control()
            .succession
            .upgrades
            .fetch_add(1, Ordering::SeqCst);
        self.ring();
    }

    /// How often one was asked for.
    pub(crate) fn upgrades(&self) -> u32 {
        self.control().succession.upgrades.load(Ordering::SeqCst)
    }
}
