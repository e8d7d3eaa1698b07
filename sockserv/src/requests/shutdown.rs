//! How a shutdown reaches everybody, and how far it has come.

use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::drain::{Plan, Stage};
use crate::requests::Requests;
use crate::requests::meeting::{Counted, Once};
use crate::sys::clock::Tick;
use crate::transport::Linger;

/// How far the shutdown of a whole server has come, and how many requests had ended by then, for the report.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Shutdown {
    asked: Counted,
    /// When accepting stopped for it.
    begun: Counted,
    /// When a second signal ended its grace.
    over: Once,
}

impl Requests {
    /// What a child polls beside its socket, until it has seen it.
    pub(crate) fn life_line(&self) -> BorrowedFd<'_> {
        self.life.as_fd()
    }

    /// What ends the grace at once: readable after a second signal, in a child after SIGTERM.
    pub(crate) fn end_of_grace(&self) -> BorrowedFd<'_> {
        self.over.as_fd()
    }

    /// What the handler of a signal writes to: it wakes the accept loop, and whoever polls the life line.
    pub(crate) fn signalled(&self) -> (BorrowedFd<'_>, Option<RawFd>, BorrowedFd<'_>) {
        (self.wake.as_fd(), self.life.end(), self.over.as_fd())
    }

    pub(crate) fn shutdown(&self) {
        self.note_shutdown();
        self.pull_life_line();
        self.ring();
    }

    /// Lets everybody know who polls the life line. Only the process that bound the server can: others ask it by `ring`.
    pub(crate) fn pull_life_line(&self) {
        if self.is_main() {
            self.life.pull();
        }
    }

    /// Records that a shutdown was asked for, if it is the first time.
    pub(crate) fn note_shutdown(&self) {
        let asked = &self.control().shutdown.asked;
        asked.happen(Tick::now().0, || self.ended_so_far());
    }

    /// Accepting stops now, whatever `lame_duck` says: the shutdown has come so far, or a listener is broken.
    pub(crate) fn note_drain(&self) {
        let begun = &self.control().shutdown.begun;
        let count = || match self.options.lame_duck.is_zero() {
            true => 0, // That was done when it was asked for.
            false => self.ended_so_far(),
        };
        begun.happen(Tick::now().0, count);
    }

    /// How many requests have ended. Those of a child, or a worker, that ended alone are not cut by what follows.
    fn ended_so_far(&self) -> u64 {
        drop(self.take_cut_alone());
        self.ended()
    }

    /// How many requests had ended when the shutdown was asked for, or when accepting stopped if that was later.
    pub(crate) fn ended_before(&self) -> u64 {
        let Shutdown { asked, begun, .. } = &self.control().shutdown;
        match self.options.lame_duck.is_zero() {
            true => asked.count(),
            false => begun.count(), // Others have come and gone since it was asked for.
        }
    }

    /// The end of the grace is readable: in a child, or a worker, it is its own business alone.
    pub(crate) fn see_over(&self) {
        if self.is_main() {
            self.note_shutdown();
            self.note_end_of_grace();
        } else {
            self.retire();
        }
    }

    /// Whether that has been seen: it stays readable.
    pub(crate) fn has_seen_over(&self) -> bool {
        self.is_grace_over() || self.is_retired()
    }

    pub(crate) fn note_end_of_grace(&self) {
        self.control().shutdown.over.happen(Tick::now().0);
    }

    pub(crate) fn is_grace_over(&self) -> bool {
        self.control().shutdown.over.when().is_some()
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        self.asked().is_some()
    }

    /// Whether the whole server was asked to end, and not this worker alone.
    pub(crate) fn is_server_ending(&self) -> bool {
        self.control().shutdown.asked.when().is_some()
    }

    /// Whether the server accepts no more, and its idle requests end.
    #[inline]
    pub(crate) fn is_draining(&self) -> bool {
        self.asked().is_some() && self.has_drain_begun()
    }

    fn has_drain_begun(&self) -> bool {
        let is_draining = self.stage() >= Stage::Draining;
        if is_draining && self.is_server_ending() {
            self.note_drain(); // Whoever sees it first: before any request ends of it, so that the report has them all.
        }
        is_draining
    }

    /// When the whole server, or this worker alone, was asked to end.
    #[inline]
    fn asked(&self) -> Option<Tick> {
        let asked = self.control().shutdown.asked.when();
        asked.or_else(|| self.process.retired.when()).map(Tick)
    }

    /// The shutdown's plan, once it was asked for.
    #[inline]
    pub(crate) fn plan(&self) -> Option<Plan> {
        self.asked().map(|asked| self.plan_since(asked))
    }

    fn plan_since(&self, asked: Tick) -> Plan {
        let plan = match (
            self.control().shutdown.over.when(),
            self.process.retired.when(),
        ) {
            (Some(over), _) => Plan::cut_now(Tick(over)),
            // SIGTERM ends the one request of a child, unless that hurries.
            (None, Some(told)) if self.is_child() => Plan::new(Tick(told), Duration::ZERO),
            (None, _) => Plan::new(self.begun(asked), self.options.shutdown_grace),
        };
        match self.is_main() {
            false => plan.after_parent(),
            true if self.has_workers() => plan.with_lingering(Linger::Talking.time()),
            true => plan,
        }
    }

    /// When accepting stops that was asked to stop then.
    fn begun(&self, asked: Tick) -> Tick {
        match self.control().shutdown.begun.when() {
            Some(begun) => Tick(begun),
            None if self.is_server_ending() => asked.after(self.options.lame_duck),
            None => asked, // A worker that ends alone: others serve on, and nobody needs to notice.
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        self.plan()
            .map_or(Stage::Serving, |plan| plan.stage(Tick::now()))
    }

    /// Forgets the last shutdown, so that the server can serve again.
    pub(crate) fn begin(&self) {
        let Shutdown { asked, begun, over } = &self.control().shutdown;
        [asked, begun].into_iter().for_each(Counted::forget);
        over.forget();
        self.forget_successor();
        for post in &*self.posts {
            post.exhausted.store(false, Ordering::SeqCst);
        }
        self.over.clear();
        self.life.mend();
    }
}
