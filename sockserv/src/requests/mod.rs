//! The table of live requests: one slot each, in memory that children share.
//!
//! It is the one mechanism behind stats, deadlines, drain and report. The accept loop takes a slot for a request before
//! it is dispatched, the request's own unit writes into it (atomics only, no lock on the way of a byte), and whoever
//! ends the request gives it back: every path drops its [`Ticket`].
//!
//! What else the requests, the handles and the processes of one server share stands around it, a file each.

mod answer;
pub(crate) mod children;
mod counters;
mod handle;
mod inbox;
mod life_line;
mod limits;
mod live;
mod meeting;
mod observed;
mod peer;
mod places;
mod process;
mod shutdown;
mod sides;
mod slot;
mod succession;
mod ticket;
pub(crate) mod workers;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::address::Address;
use crate::drain::{DrainReport, Unfinished};
use crate::error::{RequestError, share_limits};
use crate::limits::Limits;
use crate::options::Options;
use crate::sys::clock::Tick;
use crate::sys::poller::{Poller, Wake};
use crate::sys::shared::{Memory, Shared};
use crate::transport::{Linger, Transport, Unsent};

use answer::Answer;
use children::Children;
use counters::Counters;
pub use handle::{ServerHandle, Stats};
use inbox::Inbox;
use life_line::LifeLine;
#[cfg(feature = "admin")]
pub(crate) use live::Live;
use places::Places;
use process::Process;
use shutdown::Shutdown;
use sides::Sides;
pub(crate) use slot::{Due, Ended, Slot, Told};
use succession::Succession;
pub(crate) use ticket::Ticket;
use workers::{Post, Workforce};

/// The state of a whole server that its children share.
#[derive(Debug, Default)]
#[repr(C)]
struct Control {
    shutdown: Shutdown,
    succession: Succession,
    suspended: AtomicBool,
    /// Which slots are taken, by all processes together, and whether an accept loop wants to know of the next end.
    places: Places,
    workforce: Workforce,
    counters: Counters,
}

crate::sys::shared::shareable!(Control);

/// Everything that the requests, the handles and the accept loop of one server share.
#[derive(Debug)]
pub(crate) struct Requests {
    control: Shared<Control>,
    slots: Shared<Slot>,
    /// One for each worker, if the server has any.
    posts: Shared<Post>,
    sides: Sides,
    pub(crate) limits: Limits,
    pub(crate) options: Options,
    pub(crate) poller: Poller,
    pub(crate) wake: Wake,
    /// Ends the grace: a second signal. In a child, or a worker, SIGTERM.
    over: Wake,
    life: LifeLine,
    process: Process,
    /// Rung to wake the accept loops of all processes; nobody reads from it. Only a server with workers has one.
    bell: Option<Wake>,
    /// Whether this process could accept, if it were not held.
    #[cfg(feature = "upgrade")]
    prepared: AtomicBool,
    pub(crate) children: Children,
    /// Streams whose peers' unread bytes are to be drained before they are closed.
    pub(crate) lingering: Inbox<(Arc<dyn Transport>, Linger)>,
    /// Senders that wait until their socket takes more.
    pub(crate) unsent: Inbox<Arc<dyn Unsent>>,
    /// Errors of requests that have no handler of their own any more.
    pub(crate) failures: Inbox<(RequestError, Address)>,
    /// Requests that the shutdown in progress has cut.
    pub(crate) cut: Inbox<Unfinished>,
    report: Mutex<Option<DrainReport>>,
    /// Whether the handler was seen to take its peer's first word without having sent any.
    listens_first: AtomicBool,
    /// What answers SIGUSR1 while a request has the only thread.
    answer: Answer,
    /// When the first wait that no thread waits may have taken too long; `u64::MAX` if there are none.
    unattended: AtomicU64,
}

/// Locks what no user's code runs under, so that a poisoned lock still guards a whole value.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Requests {
    pub(crate) fn new(
        options: Options,
        most_by_model: Option<usize>,
        workers: Option<usize>,
    ) -> io::Result<Self> {
        let (most, capacity) = options.limit(most_by_model);
        let capacity = capacity.min(places::MOST as usize);
        let memory = &mut Memory::default();
        share_limits(memory)?;
        Ok(Self {
            control: memory.table(1)?,
            slots: memory.table(capacity)?,
            sides: Sides::new(capacity),
            limits: Limits::new(memory, &options, most, capacity)?,
            options,
            poller: Poller::new()?,
            wake: Wake::new()?,
            over: Wake::new()?,
            life: LifeLine::new()?,
            process: Process::default(),
            bell: workers.is_some().then(Wake::new).transpose()?,
            #[cfg(feature = "upgrade")]
            prepared: AtomicBool::new(false),
            posts: memory.table(workers.unwrap_or(0))?,
            children: Children::default(),
            lingering: Inbox::default(),
            unsent: Inbox::default(),
            failures: Inbox::default(),
            cut: Inbox::default(),
            report: Mutex::default(),
            listens_first: AtomicBool::new(false),
            answer: Answer::default(),
            unattended: AtomicU64::new(u64::MAX),
        })
    }

    fn control(&self) -> &Control {
        &self.control[0]
    }

    pub(crate) fn slot(&self, index: u32) -> &Slot {
        &self.slots[index as usize]
    }

    /// Takes a slot for a request, or `None` if all are taken; then the end of one wakes the accept loop.
    pub(crate) fn take(
        self: &Arc<Self>,
        peer: &Address,
        transport: Option<&Arc<dyn Transport>>,
    ) -> Option<Ticket> {
        let index = self.take_index().or_else(|| {
            self.want_wake(); // Then look again: one may have ended in between.
            self.take_index()
        })?;
        let slot = self.slot(index);
        // First, so that the parent of a worker that dies here gives the place back.
        slot.process.store(self.process.id(), Ordering::Relaxed);
        slot.reset(self.options.request_timeout, peer);
        slot.set_side(transport.is_some());
        if let Some(transport) = transport {
            *lock(self.sides.of(index)) = Some(Arc::clone(transport));
        }
        self.limits.taken(index, peer);
        Some(Ticket::new(Arc::clone(self), index))
    }

    #[inline]
    fn take_index(&self) -> Option<u32> {
        let next = |place: u32| &self.slot(place).next_free;
        self.control()
            .places
            .take(self.limits.max_connections(), next)
    }

    #[inline]
    fn give_back(&self, index: u32) {
        let slot = self.slot(index);
        slot.process.store(0, Ordering::Relaxed);
        self.control().places.give_back(index, &slot.next_free);
    }

    /// Whether no further request can be taken now.
    pub(crate) fn is_full(&self) -> bool {
        self.control().places.is_full(self.limits.max_connections())
    }

    /// How many live requests this process waits for: all of them, in a worker its own.
    pub(crate) fn active_here(&self) -> u32 {
        match self.process.id() {
            0 => self.active(),
            own => self
                .used_slots()
                .iter()
                .filter(|slot| slot.is_of(own))
                .count() as u32,
        }
    }

    /// Asks for a wake-up at the end of a request. The caller must look at what it waits for once more afterwards.
    pub(crate) fn want_wake(&self) {
        self.control().places.want();
    }

    #[inline]
    fn wake_if_wanted(&self) {
        if self.control().places.is_wanted() {
            self.ring(); // Under `prefork` it may be another worker that waits for a place.
        }
    }

    pub(crate) fn need_no_wake(&self) {
        // Another process may have wished for it, and sleeps: it is to look, now that there is room.
        if self.control().places.want_no_longer() && self.bell().is_some() {
            self.ring();
        }
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.control().suspended.load(Ordering::SeqCst)
    }

    fn suspend(&self) {
        self.control().suspended.store(true, Ordering::SeqCst);
        self.ring();
    }

    fn resume(&self) {
        self.control().suspended.store(false, Ordering::SeqCst);
        self.ring();
    }

    fn used_slots(&self) -> &[Slot] {
        &self.slots[..self.control().places.used() as usize]
    }

    /// Calls `each` for every live request that is this process's business: all of them, in a worker its own.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&Slot, u32)) {
        let own = self.process.id();
        for (index, slot) in self.used_slots().iter().enumerate() {
            let is_mine = own == 0 || slot.process.load(Ordering::Relaxed) == own;
            if is_mine && slot.live.load(Ordering::Acquire) {
                each(slot, index as u32);
            }
        }
    }

    /// A request that no thread waits for times out at `until`: the accept loop must look at it then.
    pub(crate) fn look_at(&self, until: Tick) {
        if self.unattended.fetch_min(until.0, Ordering::SeqCst) > until.0 {
            self.wake.wake();
        }
    }

    /// When the first of these waits may have taken too long.
    pub(crate) fn next_unattended(&self) -> Option<Tick> {
        Some(self.unattended.load(Ordering::SeqCst))
            .filter(|&until| until != u64::MAX)
            .map(Tick)
    }

    /// All of them are about to be looked at; those that come meanwhile say so.
    pub(crate) fn forget_unattended(&self) {
        self.unattended.store(u64::MAX, Ordering::SeqCst);
    }

    /// The handler of a request has taken its peer's first word, and sent none before.
    pub(crate) fn note_listening(&self) {
        self.listens_first.store(true, Ordering::Relaxed);
    }

    /// Whether the peers of this server speak first, as far as was seen.
    pub(crate) fn listens_first(&self) -> bool {
        self.listens_first.load(Ordering::Relaxed)
    }

    /// Shuts a live request's socket down, having said why. Its unit wakes and finds it.
    pub(crate) fn end(&self, index: u32, why: Told) {
        let slot = self.slot(index);
        if !slot.live.load(Ordering::Acquire) && slot.ended() == Ended::Finished {
            return; // Meanwhile.
        }
        if !slot.told().is_cut() {
            let is_alone = why == Told::Cut && !self.is_main();
            slot.tell(if is_alone { Told::CutAlone } else { why });
            if why == Told::Cut {
                self.cut.push(self.describe(index));
            }
        }
        // Not under the lock: a transport may be the user's.
        let Some(transport) = lock(self.sides.of(index)).clone() else {
            return;
        };
        let how = match why.ends_writing() {
            true => std::net::Shutdown::Both,
            false => std::net::Shutdown::Read,
        };
        // A peer that has left already needs no shutdown.
        let _ = transport.shutdown(how);
    }

    /// Takes note of the requests whose processes have seen before this one that their grace was over.
    pub(crate) fn take_cut_alone(&self) -> Vec<Unfinished> {
        let slots = self.used_slots().iter().enumerate();
        let cut = slots.filter(|(_, slot)| slot.told() == Told::CutAlone);
        cut.map(|(index, slot)| {
            slot.tell(Told::Cut);
            self.describe(index as u32)
        })
        .collect()
    }

    /// Another process serves it: its socket is not ours to shut down.
    pub(crate) fn forget_transport(&self, index: u32) {
        drop(lock(self.sides.of(index)).take());
    }

    pub(crate) fn describe(&self, index: u32) -> Unfinished {
        let slot = self.slot(index);
        Unfinished {
            peer: slot.peer(),
            age: Tick::now().since(Tick(slot.started.load(Ordering::Relaxed))),
            phase: slot.phase(),
            bytes_in: slot.bytes_in.now(),
            bytes_out: slot.bytes_out.now(),
        }
    }

    /// Lets the accept loop call `handle_error` on a clone of the prototype: the request has no handler any more.
    pub(crate) fn report_later(&self, error: RequestError, peer: Address) {
        if self.is_child() {
            return crate::error::report(&error, &peer); // Nobody else can.
        }
        self.failures.push((error, peer));
        self.wake.wake();
    }

    pub(crate) fn set_report(&self, report: DrainReport) {
        *lock(&self.report) = Some(report);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::drain::Stage;
    use crate::error::Phase;

    #[test]
    fn a_worker_finds_its_requests_while_another_takes_a_place() {
        let requests = Requests::new(Options::new(), None, Some(2)).expect("memory");
        let requests = Arc::new(requests);
        let take = |process| {
            requests.process.set_id(process);
            requests.take(&Address::Unnamed, None).expect("a place")
        };
        let (others, own) = (take(1), take(2));
        // The other worker has not counted its request yet.
        requests.slot(others.index).accepted.take_back();
        let mut found = Vec::new();
        requests.for_each(|_, index| found.push(index));
        assert_eq!(found, [own.index]);
        drop((others, own));
    }

    #[test]
    fn who_finishes_before_it_is_cut_is_not_cut() {
        let requests = Arc::new(Requests::new(Options::new(), None, None).expect("memory"));
        let take = || requests.take(&Address::Unnamed, None).expect("a place");
        let [finished, failed, alive] = [take(), take(), take()];
        finished.end(None);
        failed.end(Some(&RequestError::new(Phase::Handle, "cut by its child")));
        for ended in [&finished, &failed] {
            requests.settle(ended.index);
        }
        for ticket in [&finished, &failed, &alive] {
            requests.end(ticket.index, Told::Cut);
        }
        assert_eq!(requests.cut.take().len(), 2);
    }

    #[test]
    fn of_two_deadlines_that_have_passed_the_first_is_told() {
        let options = Options {
            request_timeout: Some(Duration::from_secs(20)),
            ..Options::new()
        };
        let requests = Arc::new(Requests::new(options, None, None).expect("memory"));
        let ticket = requests.take(&Address::Unnamed, None).expect("a place");
        let slot = requests.slot(ticket.index);
        let began = Tick::now();
        slot.waiting.begin(began.0);
        let due = |first_byte, timeout| {
            slot.wait_unattended(Some((began.after(timeout), Told::Idle)));
            let late = began.after(Duration::from_secs(60));
            slot.due(Stage::Serving, late, Some(first_byte), |_| false)
        };
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(due(short, long), Due::Now(Told::FirstByte));
        assert_eq!(due(long, short), Due::Now(Told::Idle));
        let longest = Duration::from_secs(30);
        assert_eq!(due(longest, longest), Due::Now(Told::Request));
    }
}
