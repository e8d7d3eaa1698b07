//! The table of live requests: one slot each, in memory that children share.
//!
//! It is the one mechanism behind stats, deadlines, drain and report. The accept loop takes a slot for a request before
//! it is dispatched, the request's own unit writes into it (atomics only, no lock on the way of a byte), and whoever
//! ends the request gives it back: every path drops its [`Ticket`].

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;
use std::{fmt, io, thread};

use crate::address::Address;
use crate::children::Children;
use crate::drain::{DrainReport, Plan, Stage, Unfinished};
use crate::error::{Phase, RequestError};
use crate::options::Options;
use crate::sys::clock::Tick;
use crate::sys::poller::{Poller, Wake};
use crate::sys::shared::Shared;
use crate::transport::{Transport, Unsent};

/// The end of the list of free slots.
const NONE: u32 = u32::MAX;

/// The state of a whole server that its children share.
#[derive(Debug, Default)]
#[repr(C)]
struct Control {
    /// When a shutdown was asked for, or zero.
    asked: AtomicU64,
    suspended: AtomicBool,
    /// Whether the accept loop wants to be woken when a request ends.
    wants_wake: AtomicBool,
    active: AtomicU32,
    /// The first free slot in the lower half; a count of changes in the upper half tells two equal ones apart.
    free: AtomicU64,
    accepted: AtomicU64,
    finished: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

crate::sys::shared::shareable!(Control);

/// One live request.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Slot {
    next_free: AtomicU32,
    /// Whether it counts as active: from `take` until it is settled.
    live: AtomicBool,
    phase: AtomicU8,
    pub(crate) ended: AtomicU8,
    /// Since when its read waits for the peer, or zero.
    pub(crate) waiting: AtomicU64,
    /// Whether the handler took something from `rfile` since it last wrote.
    pub(crate) taken: AtomicBool,
    /// Whether the peer's bytes are unread at the end, in a child that leaves closing to its parent.
    pub(crate) linger: AtomicBool,
    /// Why the accept loop shut its socket down.
    told: AtomicU8,
    /// How many `busy` guards are alive.
    pub(crate) busy: AtomicU32,
    started: AtomicU64,
    /// When `request_timeout` ends it, or zero.
    expires: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

crate::sys::shared::shareable!(Slot);

/// Why a request's socket was shut down by the accept loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Told {
    /// It was not.
    No = 0,
    /// A shutdown: it sees end-of-file.
    Shutdown,
    /// Silence right after connecting.
    FirstByte,
    /// `request_timeout`.
    Request,
    /// A shutdown whose grace is over.
    Cut,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Ended {
    /// Not by itself: its child process died, or it is still alive.
    Not = 0,
    Finished,
    Failed,
}

impl Slot {
    /// Whether its handler owes nothing and waits for the peer: such a request may end at any time.
    pub(crate) fn is_idle(&self) -> bool {
        // Pairs with the handler's own stores, which come before its `waiting`.
        self.waiting.load(Ordering::SeqCst) != 0 && self.owes_nothing()
    }

    pub(crate) fn owes_nothing(&self) -> bool {
        !self.taken.load(Ordering::Relaxed) && self.busy.load(Ordering::Acquire) == 0
    }

    pub(crate) fn told(&self) -> Told {
        match self.told.load(Ordering::Acquire) {
            1 => Told::Shutdown,
            2 => Told::FirstByte,
            3 => Told::Request,
            4 => Told::Cut,
            _ => Told::No,
        }
    }

    pub(crate) fn tell(&self, why: Told) {
        self.told.store(why as u8, Ordering::Release); // Before the socket is shut down, so whoever wakes finds it.
    }

    /// When `first_byte_timeout` ends it, if its peer has said nothing yet.
    pub(crate) fn silent_until(&self, now: Tick, timeout: Duration) -> Option<Tick> {
        if self.bytes_in.load(Ordering::Relaxed) > 0 {
            return None;
        }
        match self.waiting.load(Ordering::SeqCst) {
            0 => Some(now.after(timeout)), // Its handler does something else: look again.
            waiting => Some(Tick(waiting).after(timeout)),
        }
    }

    fn ended(&self) -> Ended {
        match self.ended.load(Ordering::Acquire) {
            1 => Ended::Finished,
            2 => Ended::Failed,
            _ => Ended::Not,
        }
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        const ALL: [Phase; 6] = [
            Phase::Verify,
            Phase::Dispatch,
            Phase::Setup,
            Phase::Handle,
            Phase::Finish,
            Phase::Reply,
        ];
        ALL.get(usize::from(self.phase.load(Ordering::Relaxed)))
            .copied()
            .unwrap_or(Phase::Close)
    }

    pub(crate) fn expires(&self) -> Option<Tick> {
        Some(self.expires.load(Ordering::Relaxed))
            .filter(|&at| at != 0)
            .map(Tick)
    }

    pub(crate) fn add(counter: &AtomicU64, bytes: usize) {
        // Each counter has one writer, so no atomic addition is needed; two halves of a split stream write different ones.
        counter.store(
            counter.load(Ordering::Relaxed) + bytes as u64,
            Ordering::Relaxed,
        );
    }

    fn reset(&self, timeout: Option<Duration>) {
        let now = Tick::coarse();
        self.phase.store(Phase::Verify as u8, Ordering::Relaxed);
        self.ended.store(Ended::Not as u8, Ordering::Relaxed);
        self.waiting.store(0, Ordering::Relaxed);
        self.taken.store(false, Ordering::Relaxed);
        self.linger.store(false, Ordering::Relaxed);
        self.told.store(Told::No as u8, Ordering::Relaxed);
        self.busy.store(0, Ordering::Relaxed);
        self.started.store(now.0, Ordering::Relaxed);
        self.expires.store(
            timeout.map_or(0, |timeout| now.after(timeout).0),
            Ordering::Relaxed,
        );
        self.bytes_in.store(0, Ordering::Relaxed);
        self.bytes_out.store(0, Ordering::Relaxed);
        self.live.store(true, Ordering::Release); // Publishes the stores above to who scans the table.
    }
}

/// What only the accepting process knows of a live request.
#[derive(Debug, Default)]
struct Side {
    peer: Option<Address>,
    transport: Option<Arc<dyn Transport>>,
}

/// Everything that the requests, the handles and the accept loop of one server share.
#[derive(Debug)]
pub(crate) struct Requests {
    control: Shared<Control>,
    slots: Shared<Slot>,
    sides: Box<[Mutex<Side>]>,
    pub(crate) options: Options,
    pub(crate) poller: Poller,
    pub(crate) wake: Wake,
    /// Ends the grace: a second signal, or in a child SIGTERM.
    over: Wake,
    over_at: AtomicU64,
    /// Readable, or at its end, once a shutdown was asked for or the parent died. Nobody reads from it.
    life: OwnedFd,
    /// The life line's other end; children do not have it.
    life_end: Mutex<Option<OwnedFd>>,
    child: OnceLock<Wake>,
    accepting: Mutex<Option<ThreadId>>,
    pub(crate) children: Children,
    /// The descriptors of stream listeners: a child closes them, so that a port is free once its server has ended.
    pub(crate) listeners: Mutex<Vec<RawFd>>,
    /// Streams whose peers' unread bytes are to be drained before they are closed.
    pub(crate) lingering: Mutex<Vec<Arc<dyn Transport>>>,
    /// Senders that wait until their socket takes more.
    pub(crate) unsent: Mutex<Vec<Arc<dyn Unsent>>>,
    /// Errors of requests that have no handler of their own any more.
    pub(crate) failures: Mutex<Vec<(RequestError, Address)>>,
    /// Requests that the shutdown in progress has cut.
    pub(crate) cut: Mutex<Vec<Unfinished>>,
    report: Mutex<Option<DrainReport>>,
}

/// Locks what no user's code runs under, so that a poisoned lock still guards a whole value.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Requests {
    pub(crate) fn new(options: Options, most_by_model: Option<usize>) -> io::Result<Self> {
        let limit = options.limit(most_by_model);
        let (life, life_end) = rustix::pipe::pipe_with(
            rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK,
        )?;
        let requests = Self {
            control: Shared::zeroed(1)?,
            slots: Shared::zeroed(limit)?,
            sides: (0..limit).map(|_| Mutex::default()).collect(),
            options,
            poller: Poller::new()?,
            wake: Wake::new()?,
            over: Wake::new()?,
            over_at: AtomicU64::new(0),
            life,
            life_end: Mutex::new(Some(life_end)),
            child: OnceLock::new(),
            accepting: Mutex::new(None),
            children: Children::default(),
            listeners: Mutex::default(),
            lingering: Mutex::default(),
            unsent: Mutex::default(),
            failures: Mutex::default(),
            cut: Mutex::default(),
            report: Mutex::default(),
        };
        requests
            .control()
            .free
            .store(u64::from(NONE), Ordering::Relaxed);
        for index in (0..requests.slots.len()).rev() {
            requests.give_back(index as u32); // Last, so that the first slot is taken first and few pages are touched.
        }
        Ok(requests)
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
        *lock(&self.sides[index as usize]) = Side {
            peer: Some(peer.clone()),
            transport: transport.cloned(),
        };
        self.slot(index).reset(self.options.request_timeout);
        self.control().active.fetch_add(1, Ordering::SeqCst);
        self.control().accepted.fetch_add(1, Ordering::Relaxed);
        Some(Ticket {
            requests: Arc::clone(self),
            index,
        })
    }

    fn take_index(&self) -> Option<u32> {
        let free = &self.control().free;
        let mut head = free.load(Ordering::Acquire);
        loop {
            let index = head as u32;
            if index == NONE {
                return None;
            }
            let next = self.slot(index).next_free.load(Ordering::Relaxed);
            // Acquire pairs with the release in `give_back`: the slot's last words are seen before it is used again.
            match free.compare_exchange_weak(
                head,
                changed(head, next),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(index),
                Err(now) => head = now,
            }
        }
    }

    fn give_back(&self, index: u32) {
        let free = &self.control().free;
        let mut head = free.load(Ordering::Relaxed);
        loop {
            self.slot(index)
                .next_free
                .store(head as u32, Ordering::Relaxed);
            match free.compare_exchange_weak(
                head,
                changed(head, index),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Whether no further request can be taken now.
    pub(crate) fn is_full(&self) -> bool {
        self.control().free.load(Ordering::SeqCst) as u32 == NONE
    }

    pub(crate) fn active(&self) -> u32 {
        self.control().active.load(Ordering::SeqCst)
    }

    /// Asks for a wake-up at the end of a request. The caller must look at what it waits for once more afterwards.
    pub(crate) fn want_wake(&self) {
        self.control().wants_wake.store(true, Ordering::SeqCst); // Pairs with the load in `Ticket::drop`.
    }

    fn wake_if_wanted(&self) {
        if self.control().wants_wake.load(Ordering::SeqCst) {
            self.wake.wake();
        }
    }

    pub(crate) fn need_no_wake(&self) {
        self.control().wants_wake.store(false, Ordering::Relaxed);
    }

    pub(crate) fn count_refused(&self) {
        self.control().refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The accepting thread says who it is: requests that run there must be told by a descriptor.
    pub(crate) fn accept_here(&self) {
        *lock(&self.accepting) = Some(thread::current().id());
    }

    pub(crate) fn is_accepting_here(&self) -> bool {
        self.is_child() || *lock(&self.accepting) == Some(thread::current().id())
    }

    /// How many requests were taken so far, those that were refused included.
    pub(crate) fn accepted(&self) -> u64 {
        let control = self.control();
        control.accepted.load(Ordering::Relaxed) + control.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn is_child(&self) -> bool {
        self.child.get().is_some()
    }

    /// Makes this process the child of a fork: it keeps its request and the life line, and nothing else.
    pub(crate) fn become_child(&self) -> io::Result<()> {
        let wake = self
            .child
            .get_or_init(|| Wake::new().unwrap_or_else(|_| std::process::abort()));
        drop(lock(&self.life_end).take());
        crate::sys::fork::close_in_child(lock(&self.listeners).drain(..));
        lock(&self.lingering).clear();
        lock(&self.unsent).clear();
        for side in &self.sides {
            *lock(side) = Side::default(); // Other requests' sockets: their peers must not wait for our end.
        }
        crate::signals::as_child(wake)
    }

    /// What a child polls beside its socket, until it has seen it.
    pub(crate) fn life_line(&self) -> BorrowedFd<'_> {
        self.life.as_fd()
    }

    /// What ends the grace at once: readable after a second signal, in a child after SIGTERM.
    pub(crate) fn end_of_grace(&self) -> BorrowedFd<'_> {
        self.child.get().unwrap_or(&self.over).as_fd()
    }

    /// What the handler of a signal writes to: it wakes the accept loop, and whoever polls the life line.
    pub(crate) fn signalled(&self) -> (BorrowedFd<'_>, Option<RawFd>, BorrowedFd<'_>) {
        (
            self.wake.as_fd(),
            lock(&self.life_end).as_ref().map(AsRawFd::as_raw_fd),
            self.over.as_fd(),
        )
    }

    pub(crate) fn shutdown(&self) {
        self.note_shutdown();
        if let Some(end) = &*lock(&self.life_end) {
            // It fails only when the pipe is full, and then it is readable already.
            let _ = rustix::io::write(end, &[0]);
        }
        self.wake.wake(); // From a child this is its parent's.
    }

    /// Records that a shutdown was asked for, if it is the first time.
    pub(crate) fn note_shutdown(&self) {
        let now = Tick::now().0;
        // SeqCst: a request that stores `waiting` and then finds this zero is found waiting by the drain, or the reverse.
        let _ = self
            .control()
            .asked
            .compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
    }

    pub(crate) fn note_end_of_grace(&self) {
        let _ = self
            .over_at
            .compare_exchange(0, Tick::now().0, Ordering::SeqCst, Ordering::SeqCst);
    }

    pub(crate) fn is_grace_over(&self) -> bool {
        self.over_at.load(Ordering::SeqCst) != 0
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        self.control().asked.load(Ordering::SeqCst) != 0
    }

    /// The shutdown's plan, once it was asked for.
    pub(crate) fn plan(&self) -> Option<Plan> {
        let asked =
            Tick(Some(self.control().asked.load(Ordering::SeqCst)).filter(|&asked| asked != 0)?);
        match self.over_at.load(Ordering::SeqCst) {
            0 => Some(Plan::new(asked, self.options.shutdown_grace)),
            // A child that gets SIGTERM is told, and killed by its parent; a second signal cuts at once.
            over if self.is_child() => Some(Plan::new(Tick(over), Duration::ZERO)),
            over => Some(Plan::cut_now(Tick(over))),
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        self.plan()
            .map_or(Stage::Serving, |plan| plan.stage(Tick::now()))
    }

    /// Forgets the last shutdown, so that the server can serve again.
    pub(crate) fn begin(&self) {
        self.control().asked.store(0, Ordering::SeqCst);
        self.over_at.store(0, Ordering::SeqCst);
        self.over.clear();
        // Empty already unless there was a shutdown.
        while rustix::io::read(&self.life, &mut [0; 64]).is_ok_and(|count| count == 64) {}
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.control().suspended.load(Ordering::SeqCst)
    }

    fn suspend(&self, suspended: bool) {
        self.control().suspended.store(suspended, Ordering::SeqCst);
        self.wake.wake();
    }

    /// Calls `each` for every live request of the table, in the accepting process.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&Slot, u32)) {
        let mut left = self.active();
        for (index, slot) in self.slots.iter().enumerate() {
            if left == 0 {
                break;
            }
            if slot.live.load(Ordering::Acquire) {
                left -= 1;
                each(slot, index as u32);
            }
        }
    }

    /// Shuts a live request's socket down, having said why. Its unit wakes and finds it.
    pub(crate) fn end(&self, index: u32, why: Told) {
        if why == Told::Cut && self.slot(index).told() != Told::Cut {
            lock(&self.cut).push(self.describe(index));
        }
        self.slot(index).tell(why);
        let side = lock(&self.sides[index as usize]);
        let Some(transport) = &side.transport else {
            return;
        };
        let how = match why {
            Told::Request | Told::Cut => std::net::Shutdown::Both,
            _ => std::net::Shutdown::Read,
        };
        // A peer that has left already needs no shutdown.
        let _ = transport.shutdown(how);
    }

    /// Another process serves it: its socket is not ours to shut down.
    pub(crate) fn forget_transport(&self, index: u32) {
        lock(&self.sides[index as usize]).transport = None;
    }

    pub(crate) fn describe(&self, index: u32) -> Unfinished {
        let slot = self.slot(index);
        Unfinished {
            peer: lock(&self.sides[index as usize])
                .peer
                .clone()
                .unwrap_or(Address::Unnamed),
            age: Tick::now().since(Tick(slot.started.load(Ordering::Relaxed))),
            phase: slot.phase(),
            bytes_in: slot.bytes_in.load(Ordering::Relaxed),
            bytes_out: slot.bytes_out.load(Ordering::Relaxed),
        }
    }

    /// Lets the accept loop call `handle_error` on a clone of the prototype: the request has no handler any more.
    pub(crate) fn report_later(&self, error: RequestError, peer: Address) {
        if self.is_child() {
            return crate::error::report(&error, &peer); // Nobody else can.
        }
        lock(&self.failures).push((error, peer));
        self.wake.wake();
    }

    pub(crate) fn set_report(&self, report: DrainReport) {
        *lock(&self.report) = Some(report);
    }

    /// How many requests have ended so far, well or not.
    pub(crate) fn ended(&self) -> u64 {
        let control = self.control();
        control.finished.load(Ordering::Relaxed) + control.failed.load(Ordering::Relaxed)
    }

    fn stats(&self) -> Stats {
        let control = self.control();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut stats = Stats {
            accepted: get(&control.accepted) + get(&control.refused),
            active: u64::from(self.active()),
            finished: get(&control.finished),
            failed: get(&control.failed),
            refused: get(&control.refused),
            bytes_in: get(&control.bytes_in),
            bytes_out: get(&control.bytes_out),
        };
        self.for_each(|slot, _| {
            stats.bytes_in += get(&slot.bytes_in);
            stats.bytes_out += get(&slot.bytes_out);
        });
        stats
    }
}

/// The next head of the free list: another first slot, and one more change.
fn changed(head: u64, first: u32) -> u64 {
    ((head >> 32).wrapping_add(1) << 32) | u64::from(first)
}

/// A request's place in the table, given back when it is dropped, on whatever path.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) requests: Arc<Requests>,
    pub(crate) index: u32,
}

impl Ticket {
    pub(crate) fn slot(&self) -> &Slot {
        self.requests.slot(self.index)
    }

    pub(crate) fn end(&self, ended: Ended) {
        self.slot().ended.store(ended as u8, Ordering::Release); // Pairs with the parent's load, after the child's exit.
    }

    pub(crate) fn ended(&self) -> Ended {
        self.slot().ended()
    }

    /// The request was never one: it does not count as accepted and ended.
    pub(crate) fn refuse(self) {
        self.requests
            .control()
            .accepted
            .fetch_sub(1, Ordering::Relaxed);
        self.requests.count_refused();
        self.slot().ended.store(REFUSED, Ordering::Relaxed);
    }
}

/// A value of `Slot::ended` that counts as neither finished nor failed.
const REFUSED: u8 = 3;

impl Ticket {
    /// Counts the request as ended: before its peer can see the end, so that who saw it finds it counted.
    pub(crate) fn settle(&self) {
        let (requests, slot) = (&self.requests, self.slot());
        if requests.is_child() || !slot.live.swap(false, Ordering::AcqRel) {
            return; // In a child the parent counts, when this process has ended.
        }
        let control = requests.control();
        match (slot.ended(), slot.ended.load(Ordering::Relaxed)) {
            (Ended::Finished, _) => control.finished.fetch_add(1, Ordering::Relaxed),
            (Ended::Not, REFUSED) => 0,
            (Ended::Failed | Ended::Not, _) => control.failed.fetch_add(1, Ordering::Relaxed),
        };
        control
            .bytes_in
            .fetch_add(slot.bytes_in.load(Ordering::Relaxed), Ordering::Relaxed);
        control
            .bytes_out
            .fetch_add(slot.bytes_out.load(Ordering::Relaxed), Ordering::Relaxed);
        let side = std::mem::take(&mut *lock(&requests.sides[self.index as usize]));
        drop(side); // Closing may take a system call: not under the lock.
        control.active.fetch_sub(1, Ordering::SeqCst);
        requests.wake_if_wanted();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.requests.is_child() {
            return; // The parent has a ticket for the same slot.
        }
        self.settle();
        self.requests.give_back(self.index);
        self.requests.wake_if_wanted();
    }
}

/// Numbers of one server, taken at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many requests were taken from the kernel, those that were refused included.
    pub accepted: u64,
    /// How many requests are alive.
    pub active: u64,
    /// How many requests ended well.
    pub finished: u64,
    /// How many requests ended with an error, a panic, or because the peer left in the middle.
    pub failed: u64,
    /// How many peers were refused: by `verify_request`, or because their request could not be dispatched.
    pub refused: u64,
    /// How many bytes the requests received.
    pub bytes_in: u64,
    /// How many bytes the requests sent.
    pub bytes_out: u64,
}

/// A way to reach a server from anywhere: other threads, its own handlers, its children.
#[derive(Clone)]
pub struct ServerHandle {
    pub(crate) requests: Arc<Requests>,
}

impl ServerHandle {
    /// Asks the server to stop: it closes its listeners, tells its requests, and returns when they have ended.
    ///
    /// Never blocks, may be called from anywhere and more than once, also before the server serves: then it ends at once.
    pub fn shutdown(&self) {
        self.requests.shutdown();
    }

    /// Returns whether a shutdown was asked for.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.requests.is_shutting_down()
    }

    /// Stops accepting until [`resume`](Self::resume); live requests go on, new ones wait in the kernel's queue.
    pub fn suspend(&self) {
        self.requests.suspend(true);
    }

    /// Accepts again after [`suspend`](Self::suspend).
    pub fn resume(&self) {
        self.requests.suspend(false);
    }

    /// Returns whether [`suspend`](Self::suspend) is in force.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.requests.is_suspended()
    }

    /// Returns the server's numbers.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.requests.stats()
    }

    /// Returns what the last shutdown made of the requests, once there was one.
    #[must_use]
    pub fn report(&self) -> Option<DrainReport> {
        lock(&self.requests.report).clone()
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("stats", &self.stats())
            .field("is_shutting_down", &self.is_shutting_down())
            .finish_non_exhaustive()
    }
}
