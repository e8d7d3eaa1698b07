//! The monotonic clock as nanoseconds in a `u64`, so that a time fits an atomic that processes share.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds since boot. Zero never occurs, so a slot may use it for "not".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(pub(crate) u64);

impl Tick {
    /// The exact time: some 25 ns, no system call.
    pub(crate) fn now() -> Self {
        still().unwrap_or_else(|| Self::from(clock_gettime(ClockId::Monotonic)))
    }

    /// The time of the kernel's last timer tick (at most 10 ms ago): some 5 ns, no system call.
    #[inline]
    pub(crate) fn coarse() -> Self {
        still().unwrap_or_else(|| Self::from(clock_gettime(ClockId::MonotonicCoarse)))
    }

    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// What is left until this time: zero when it has passed.
    pub(crate) fn left(self) -> Duration {
        self.since(Self::now())
    }
}

/// A timeout for a socket: its unit is a microsecond, and zero would mean for ever. socket(7)
pub(crate) fn at_least_a_micro(timeout: Duration) -> Duration {
    timeout.max(Duration::from_micros(1))
}

impl From<Instant> for Tick {
    fn from(time: Instant) -> Self {
        Self::now().after(time.saturating_duration_since(Instant::now()))
    }
}

impl From<Timespec> for Tick {
    fn from(time: Timespec) -> Self {
        let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
        Self((seconds * 1_000_000_000 + nanos).max(1))
    }
}

thread_local! {
    /// Where this thread's clock stands still: a test's. Zero while it runs.
    static STILL: Cell<u64> = const { Cell::new(0) };
}

fn still() -> Option<Tick> {
    match STILL.get() {
        0 => None,
        time => Some(Tick(time)),
    }
}

/// While this lives the clock of this thread stands still, but for [`jump`].
#[derive(Debug)]
pub(crate) struct Stopped {
    before: u64,
}

impl Stopped {
    pub(crate) fn now() -> Self {
        let before = STILL.replace(Tick::now().0);
        Self { before }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        STILL.set(self.before);
    }
}

/// Sets the clock of this thread, if it stands still.
pub(crate) fn jump(to: Tick) {
    if still().is_some() {
        STILL.set(to.0);
    }
}
