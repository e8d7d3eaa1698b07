//! How a shutdown proceeds: pure decisions, and the report of what became of the requests.

use std::fmt;
use std::time::Duration;

use crate::address::Address;
use crate::error::Phase;
use crate::sys::clock::Tick;

/// How long a request has between being told that its grace is over and being cut.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a cut request may take to notice before it is left behind.
pub(crate) const CUT_NOTICE: Duration = Duration::from_millis(500);

/// How much later than its parent a child cuts, so that it is mostly the parent who records it.
const HEAD_START: Duration = Duration::from_millis(100);

/// What a shutdown demands of a request at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// No shutdown was asked for.
    Serving,
    /// One was asked for, and everything goes on as before, so that load balancers notice: `lame_duck`.
    LameDuck,
    /// Idle requests see end-of-file, the others may go on.
    Draining,
    /// All see end-of-file.
    Told,
    /// Sockets are shut down, children killed.
    Cut,
    /// What still runs is left behind.
    Over,
}

/// When each stage begins, once a shutdown has been asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// When accepting stops.
    begun: Tick,
    /// When the grace ends and every request is told.
    pub(crate) told: Tick,
    pub(crate) cut: Tick,
    over: Tick,
}

impl Plan {
    pub(crate) fn new(begun: Tick, grace: Duration) -> Self {
        let told = begun.after(grace);
        Self {
            begun,
            told,
            cut: told.after(LAST_WORDS),
            over: told.after(LAST_WORDS).after(CUT_NOTICE),
        }
    }

    /// The second signal: nothing waits any longer.
    pub(crate) fn cut_now(now: Tick) -> Self {
        Self {
            begun: now,
            told: now,
            cut: now,
            over: now.after(CUT_NOTICE),
        }
    }

    pub(crate) fn stage(&self, now: Tick) -> Stage {
        match now {
            now if now >= self.over => Stage::Over,
            now if now >= self.cut => Stage::Cut,
            now if now >= self.told => Stage::Told,
            now if now >= self.begun => Stage::Draining,
            _ => Stage::LameDuck,
        }
    }

    /// The same in a child: its parent cuts first, so that it is the parent who writes down what was cut.
    pub(crate) fn after_parent(self) -> Self {
        Self {
            cut: self.cut.after(HEAD_START),
            over: self.over.after(HEAD_START),
            ..self
        }
    }

    /// The same in the parent of workers, which waits longer: a worker may still drain what its last peer says.
    pub(crate) fn with_lingering(self, time: Duration) -> Self {
        Self {
            over: self.over.after(time),
            ..self
        }
    }

    /// When a parent kills the children that have not noticed.
    pub(crate) fn kill(&self) -> Tick {
        self.cut.after(HEAD_START).after(HEAD_START)
    }

    /// Whether requests that came before the shutdown are still begun: as long as the grace, and a moment at least.
    pub(crate) fn begins_requests(&self, now: Tick) -> bool {
        now < self.told.max(self.begun.after(LAST_WORDS)).min(self.cut)
    }

    /// When the next stage begins.
    pub(crate) fn next(&self, now: Tick) -> Option<Tick> {
        [self.begun, self.told, self.cut, self.over]
            .into_iter()
            .find(|&begins| begins > now)
    }
}

/// What became of the requests that were alive when a shutdown was asked for, or were accepted during it.
#[derive(Clone, Debug, Default)]
pub struct DrainReport {
    pub(crate) finished: u64,
    pub(crate) unfinished: Vec<Unfinished>,
}

impl DrainReport {
    /// Returns how many requests came to their own end.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.finished
    }

    /// Returns how many requests were cut, or left behind because nothing inside the process can cut them.
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.unfinished.len() as u64
    }

    /// Returns the requests that were cut.
    #[must_use]
    pub fn unfinished(&self) -> &[Unfinished] {
        &self.unfinished
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} finished, {} cut", self.finished, self.cut())?;
        for (index, request) in self.unfinished.iter().enumerate() {
            write!(f, "{} {request}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// A request that a shutdown cut.
#[derive(Clone, Debug)]
pub struct Unfinished {
    pub(crate) peer: Address,
    pub(crate) age: Duration,
    pub(crate) phase: Phase,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

impl Unfinished {
    /// Returns whose request it was.
    #[must_use]
    pub fn peer(&self) -> &Address {
        &self.peer
    }

    /// Returns how long it had been alive.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Returns where in its life it was.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns how many bytes it had received.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    /// Returns how many bytes it had sent.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} after {:.1?}", self.peer, self.phase, self.age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_follow_one_another() {
        let asked = Tick(1_000_000_000);
        let plan = Plan::new(asked, Duration::from_secs(8));
        let at = |seconds| asked.after(Duration::from_millis(seconds));
        assert_eq!(plan.stage(Tick(asked.0 - 1)), Stage::LameDuck);
        assert_eq!(plan.next(Tick(1)), Some(asked));
        assert_eq!(plan.stage(at(0)), Stage::Draining);
        assert_eq!(plan.stage(at(8000)), Stage::Told);
        assert_eq!(plan.stage(at(9000)), Stage::Cut);
        assert_eq!(plan.stage(at(9500)), Stage::Over);
        assert_eq!(plan.next(at(8500)), Some(plan.cut));
        assert_eq!(plan.next(at(9500)), None);
    }

    proptest::proptest! {
        #[test]
        fn no_stage_comes_back(begun in 1_u64..1 << 40, grace in 0_u64..1 << 40, times in proptest::collection::vec(1_u64..1 << 42, 2..20)) {
            let plan = Plan::new(Tick(begun), Duration::from_nanos(grace));
            let mut times = times;
            times.sort_unstable();
            for pair in times.windows(2) {
                let [earlier, later] = [pair[0], pair[1]].map(Tick);
                assert!(plan.stage(earlier) <= plan.stage(later));
                // The announced next change is a change, and nothing changes before it.
                match plan.next(earlier) {
                    Some(next) if later < next => assert_eq!(plan.stage(earlier), plan.stage(later)),
                    Some(next) => assert!(plan.stage(next) > plan.stage(earlier) || next == plan.told),
                    None => assert_eq!(plan.stage(earlier), Stage::Over),
                }
                assert!(plan.after_parent().stage(later) <= plan.stage(later), "a child never is ahead of its parent");
            }
        }
    }

    #[test]
    fn a_second_signal_cuts_at_once() {
        assert_eq!(Plan::cut_now(Tick(5)).stage(Tick(5)), Stage::Cut);
        assert!(!Plan::cut_now(Tick(5)).begins_requests(Tick(5)));
    }

    #[test]
    fn requests_begin_until_the_grace_ends() {
        let asked = Tick(1_000_000_000);
        let begins = |grace: u64, millis: u64| {
            let plan = Plan::new(asked, Duration::from_secs(grace));
            plan.begins_requests(asked.after(Duration::from_millis(millis)))
        };
        assert_eq!((begins(8, 7999), begins(8, 8000)), (true, false));
        assert_eq!((begins(0, 999), begins(0, 1000)), (true, false));
    }
}
