//! [`Slot`]: one live request in the table, as atomics that its own unit writes and the accept loop reads.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::address::{Address, Kind};
use crate::drain::Stage;
use crate::error::{Cut, Phase, Timeout};
use crate::named::Named;
use crate::observer::Reason;
use crate::requests::counters::Count;
use crate::requests::meeting::Waiting;
use crate::requests::peer::Peer;
use crate::sys::clock::Tick;

/// One live request, in lines of the cache that it shares with no other.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Slot {
    pub(super) next_free: AtomicU32,
    /// Whether it counts as active: from `take` until it is settled.
    pub(super) live: AtomicBool,
    /// Whether its end is still to be counted: a worker may die in the middle of that.
    pub(super) owed: AtomicBool,
    phase: AtomicU8,
    /// The code of the [`Reason`] why it ended.
    pub(crate) ended: AtomicU8,
    /// Its number for observers, until its end was told; zero if there are none.
    pub(super) request: AtomicU64,
    /// Since when its read waits for the peer.
    pub(crate) waiting: Waiting,
    /// Nanoseconds spent waiting for the peer's first byte, over all waits so far.
    silence: AtomicU64,
    /// Whether the handler took something from `rfile` since it last wrote.
    pub(crate) taken: AtomicBool,
    /// Why the accept loop shut its socket down.
    told: AtomicU8,
    /// What it is told after `until`.
    why: AtomicU8,
    /// Whether the accepting process has its socket.
    sided: AtomicBool,
    /// How many `busy` guards are alive.
    pub(crate) busy: AtomicU32,
    /// The worker process that has the place; zero if the server has no workers.
    pub(super) process: AtomicU32,
    /// Whether its rest runs in a child or a thread of its own, so that the accept loop which took it goes on.
    pub(super) apart: AtomicBool,
    /// Whether it has begun, or will without a further word of whoever holds it.
    underway: AtomicBool,
    /// What carries it: a [`Kind`] and one, or zero.
    transport: AtomicU8,
    pub(super) started: AtomicU64,
    /// When `request_timeout` ends it, or zero.
    expires: AtomicU64,
    /// Until when it may wait while no thread waits for it, or zero.
    until: AtomicU64,
    pub(crate) bytes_in: Bytes,
    pub(crate) bytes_out: Bytes,
    peer: Peer,
    pub(super) accepted: Count,
    pub(super) finished: Count,
    pub(super) failed: Count,
}

crate::sys::shared::shareable!(Slot);

/// The bytes that went one way, counted on from one request of the place to the next.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Bytes {
    pub(super) all: Count,
    /// How many there were when the request began.
    before: AtomicU64,
}

impl Bytes {
    pub(crate) fn add(&self, bytes: usize) {
        self.all.add(bytes as u64); // The two halves of a split stream write different ones.
    }

    /// Those of the request alone.
    pub(crate) fn now(&self) -> u64 {
        self.all.all() - self.before.load(Ordering::Relaxed)
    }

    fn begin(&self) {
        self.before.store(self.all.all(), Ordering::Relaxed);
    }
}

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
    /// `timeout`, while no thread waited.
    Idle,
    /// `min_rate`, likewise.
    Rate,
    /// `timeout`, while its peer took nothing of what was sent.
    Choked,
    /// `min_rate`, likewise.
    ChokedRate,
    /// The end of a grace, seen in another process before the parent has seen it, which is to report it.
    CutAlone,
}

impl Told {
    fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Shutdown,
            2 => Self::FirstByte,
            3 => Self::Request,
            4 => Self::Cut,
            5 => Self::Idle,
            6 => Self::Rate,
            7 => Self::Choked,
            8 => Self::ChokedRate,
            9 => Self::CutAlone,
            _ => Self::No,
        }
    }

    pub(crate) fn is_cut(self) -> bool {
        matches!(self, Self::Cut | Self::CutAlone)
    }

    /// Whether the socket is shut down both ways: then writes fail, too.
    pub(crate) fn ends_writing(self) -> bool {
        self.is_cut() || matches!(self, Self::Request | Self::Choked | Self::ChokedRate)
    }

    /// What a call on the socket that was shut down fails with; nothing if that is no failure.
    pub(crate) fn error(self) -> Option<io::Error> {
        Some(match self {
            Self::No | Self::Shutdown => return None,
            Self::FirstByte => Timeout::FirstByte.into(),
            Self::Request => Timeout::Request.into(),
            Self::Idle => Timeout::Read.into(),
            Self::Choked => Timeout::Write.into(),
            Self::Rate | Self::ChokedRate => Timeout::Rate.into(),
            Self::Cut | Self::CutAlone => Cut.into(),
        })
    }
}

/// What [`Slot::due`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Now(Told),
    Later(Option<Tick>),
}

/// How a request ended, as far as the counters tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Not by itself: its child process died, or it is still alive.
    Not,
    Finished,
    Failed,
}

/// A code of `ended` that counts as neither finished nor failed.
pub(super) const REFUSED: u8 = u8::MAX;

impl Slot {
    pub(super) fn owes_nothing(&self) -> bool {
        !self.taken.load(Ordering::Relaxed) && self.busy.load(Ordering::Acquire) == 0
    }

    pub(crate) fn told(&self) -> Told {
        Told::from_code(self.told.load(Ordering::Acquire))
    }

    /// No thread waits for it, and it is told this when that has taken until then.
    pub(crate) fn wait_unattended(&self, due: Option<(Tick, Told)>) {
        let (until, why) = due.map_or((0, Told::No), |(until, why)| (until.0, why));
        self.why.store(why as u8, Ordering::Relaxed);
        self.until.store(until, Ordering::Relaxed); // `waiting` publishes it.
    }

    /// Until when it will be waited for.
    pub(crate) fn until(&self) -> Option<Tick> {
        Some(self.until.load(Ordering::Relaxed))
            .filter(|&until| until != 0)
            .map(Tick)
    }

    /// Until when it may wait, and what it is told then, if no thread waits for it.
    fn unattended(&self) -> Option<(Tick, Told)> {
        self.waiting.since()?;
        let why = Told::from_code(self.why.load(Ordering::Relaxed));
        self.until().map(|until| (until, why))
    }

    pub(crate) fn tell(&self, why: Told) {
        self.told.store(why as u8, Ordering::Release); // Before the socket is shut down, so whoever wakes finds it.
    }

    /// Whether its peer has said nothing yet.
    pub(crate) fn is_silent(&self) -> bool {
        self.bytes_in.now() == 0
    }

    /// When `first_byte_timeout` ends it, if its peer has said nothing yet.
    fn silent_until(&self, now: Tick, timeout: Duration) -> Option<Tick> {
        if !self.is_silent() {
            return None;
        }
        // A handler that does something else is looked at again.
        let since = self.waiting.since().map_or(now, Tick);
        Some(since.after(self.silence_left(timeout)))
    }

    /// How much longer the first byte may be waited for. Only waiting counts.
    pub(crate) fn silence_left(&self, timeout: Duration) -> Duration {
        timeout.saturating_sub(Duration::from_nanos(self.silence.load(Ordering::Relaxed)))
    }

    /// A wait for the first byte that began then has ended without it.
    pub(crate) fn waited_in_vain(&self, began: Tick) {
        let waited = Tick::now().since(began).as_nanos() as u64;
        self.silence.fetch_add(waited, Ordering::Relaxed);
    }

    /// Why the request is to be told something now, or when to look again: a shutdown may have come so far, or one of its
    /// deadlines. `first_byte`: the timeout, if it is not the request itself that looks at it. `is_idle`: whether a
    /// shutdown may end it now.
    pub(crate) fn due(
        &self,
        stage: Stage,
        now: Tick,
        first_byte: Option<Duration>,
        is_idle: impl Fn(&Self) -> bool,
    ) -> Due {
        let told = self.told();
        let by_shutdown = match stage {
            Stage::Cut | Stage::Over if !told.is_cut() => Some(Told::Cut),
            Stage::Told if told == Told::No => Some(Told::Shutdown),
            Stage::Draining if told == Told::No && is_idle(self) => Some(Told::Shutdown),
            _ => None,
        };
        let expires = self
            .expires()
            .filter(|_| told != Told::Request && !told.is_cut())
            .map(|at| (at, Told::Request));
        let silent = first_byte
            .filter(|_| told == Told::No)
            .and_then(|timeout| self.silent_until(now, timeout))
            .map(|at| (at, Told::FirstByte));
        let unattended = self.unattended().filter(|_| told == Told::No);
        let deadlines = [unattended, expires, silent].into_iter().flatten();
        let first = deadlines.min_by_key(|(at, _)| *at);
        match (by_shutdown, first) {
            (Some(why), _) => Due::Now(why),
            (None, Some((at, why))) if at <= now => Due::Now(why),
            (None, first) => Due::Later(first.map(|(at, _)| at)),
        }
    }

    pub(super) fn ended(&self) -> Ended {
        match Reason::from_code(self.ended.load(Ordering::Acquire)) {
            Some(Reason::Finished) => Ended::Finished,
            Some(_) => Ended::Failed,
            None => Ended::Not,
        }
    }

    /// An observer is about to be told of the request's start.
    pub(super) fn start(&self, request: u64, now: Tick, transport: Option<Kind>) {
        let transport = transport.map_or(0, |kind| kind as u8 + 1);
        self.transport.store(transport, Ordering::Relaxed);
        self.started.store(now.0, Ordering::Relaxed);
        self.request.store(request, Ordering::Release);
    }

    pub(super) fn transport(&self) -> Option<Kind> {
        Kind::from_number(self.transport.load(Ordering::Relaxed).checked_sub(1)?)
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::from_number(self.phase.load(Ordering::Relaxed)).unwrap_or(Phase::Close)
    }

    pub(crate) fn expires(&self) -> Option<Tick> {
        Some(self.expires.load(Ordering::Relaxed))
            .filter(|&at| at != 0)
            .map(Tick)
    }

    /// Makes the slot ready for a request.
    pub(super) fn reset(&self, timeout: Option<Duration>, peer: &Address) {
        let now = Tick::coarse();
        let expires = timeout.map_or(0, |timeout| now.after(timeout).0);
        self.phase.store(Phase::Verify as u8, Ordering::Relaxed);
        self.ended.store(0, Ordering::Relaxed);
        self.request.store(0, Ordering::Relaxed);
        self.waiting.end();
        self.silence.store(0, Ordering::Relaxed);
        self.taken.store(false, Ordering::Relaxed);
        self.told.store(Told::No as u8, Ordering::Relaxed);
        self.busy.store(0, Ordering::Relaxed);
        self.apart.store(false, Ordering::Relaxed);
        self.underway.store(false, Ordering::Relaxed);
        self.started.store(now.0, Ordering::Relaxed);
        self.expires.store(expires, Ordering::Relaxed);
        self.until.store(0, Ordering::Relaxed);
        self.bytes_in.begin();
        self.bytes_out.begin();
        self.peer.set(peer);
        self.accepted.add(1);
        self.owed.store(true, Ordering::Relaxed);
        self.live.store(true, Ordering::Release); // Publishes the stores above to who scans the table.
    }

    /// The request's number, or `None` if nobody observes it.
    pub(super) fn request(&self) -> Option<u64> {
        Some(self.request.load(Ordering::Relaxed)).filter(|&request| request != 0)
    }

    pub(super) fn peer(&self) -> Address {
        self.peer.get()
    }

    /// Whether it is a live request of that worker process.
    pub(super) fn is_of(&self, process: u32) -> bool {
        // SeqCst as in `Requests::active`.
        self.live.load(Ordering::SeqCst) && self.process.load(Ordering::Relaxed) == process
    }

    pub(crate) fn set_off(&self) {
        self.underway.store(true, Ordering::Relaxed);
    }

    /// Whether somebody's own model holds it, and has not run it yet.
    pub(super) fn is_held(&self) -> bool {
        !self.underway.load(Ordering::Relaxed)
    }

    /// Whether nobody ran it, or said why. What a drain cut, its report names.
    pub(super) fn was_dropped(&self) -> bool {
        self.is_held() && self.ended.load(Ordering::Relaxed) == 0 && !self.told().is_cut()
    }

    pub(crate) fn hand_over(&self) {
        self.apart.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_side(&self, sided: bool) {
        self.sided.store(sided, Ordering::Relaxed);
    }

    pub(super) fn has_side(&self) -> bool {
        self.sided.load(Ordering::Relaxed)
    }
}
