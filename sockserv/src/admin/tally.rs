//! [`Tally`]: what an observer counts for the endpoint, in memory that all processes of a server share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::Phase;
use crate::named::Named;
use crate::observer::{Event, Observer, Reason, Refusal, Stop};
use crate::sys::shared::{Memory, Shared};

/// Reasons are counted by their codes, which are smaller.
const CODES: usize = 32;

/// How many bounds the histogram has.
const BOUNDS: usize = 22;

/// The bounds of the histogram in microseconds: three a decade, from 100 µs (what a local echo takes) to 1000 s.
pub(super) const MICROS: [u64; BOUNDS] = micros();

const fn micros() -> [u64; BOUNDS] {
    let mut bounds = [0; BOUNDS];
    let (mut index, mut decade) = (0, 100);
    while index < BOUNDS {
        bounds[index] = match index % 3 {
            0 => decade,
            1 => decade * 5 / 2,
            _ => decade * 5,
        };
        index += 1;
        if index % 3 == 0 {
            decade *= 10;
        }
    }
    bounds
}

/// The counters. Each stands alone, so no order between them matters.
#[derive(Default)]
#[repr(C)]
struct Counters {
    started: AtomicU64,
    reasons: [AtomicU64; CODES],
    refusals: [AtomicU64; Refusal::ALL.len()],
    errors: [AtomicU64; Phase::ALL.len()],
    /// How many requests took at most as long as each bound, but longer than the one before; the last longer than all.
    durations: [AtomicU64; BOUNDS + 1],
    /// The sum of all durations, in nanoseconds.
    nanos: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    pauses: AtomicU64,
    workers_started: AtomicU64,
    workers_ended: AtomicU64,
}

crate::sys::shared::shareable!(Counters);

/// Counts what happens; its clones count together.
#[derive(Clone)]
pub(crate) struct Tally(Arc<Shared<Counters>>);

/// The numbers at one moment.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) started: u64,
    pub(super) reasons: Vec<(Reason, u64)>,
    pub(super) refusals: Vec<(Refusal, u64)>,
    pub(super) errors: Vec<(Phase, u64)>,
    pub(super) durations: [u64; BOUNDS + 1],
    pub(super) total: Duration,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) pauses: u64,
    pub(super) workers: u64,
}

impl Tally {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Memory::default().table(1)?)))
    }

    fn counters(&self) -> &Counters {
        &self.0[0]
    }

    pub(super) fn numbers(&self) -> Numbers {
        let counters = self.counters();
        let reasons = (0..).zip(&counters.reasons);
        let reasons =
            reasons.filter_map(|(code, count)| Some((Reason::from_code(code)?, get(count))));
        let reasons: Vec<_> = reasons.collect(); // Before the starts, so that none has ended that has not started.
        let workers = get(&counters.workers_ended);
        Numbers {
            reasons,
            started: get(&counters.started),
            refusals: with(Refusal::ALL, &counters.refusals),
            errors: with(Phase::ALL, &counters.errors),
            durations: counters.durations.each_ref().map(get),
            total: Duration::from_nanos(get(&counters.nanos)),
            bytes_in: get(&counters.bytes_in),
            bytes_out: get(&counters.bytes_out),
            pauses: get(&counters.pauses),
            workers: get(&counters.workers_started).saturating_sub(workers),
        }
    }

    fn count(&self, stop: &Stop<'_>) {
        let counters = self.counters();
        add(&counters.reasons[usize::from(stop.reason.code())], 1);
        let micros = stop.duration.as_nanos().div_ceil(1000);
        let place = MICROS.partition_point(|&bound| u128::from(bound) < micros);
        add(&counters.durations[place], 1);
        add(&counters.nanos, stop.duration.as_nanos() as u64);
        add(&counters.bytes_in, stop.bytes_in);
        add(&counters.bytes_out, stop.bytes_out);
    }
}

impl Numbers {
    /// How many requests are alive.
    pub(super) fn active(&self) -> u64 {
        let ended = self.reasons.iter().map(|(_, count)| count).sum();
        self.started.saturating_sub(ended)
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn with<T: Copy>(all: &[T], counters: &[AtomicU64]) -> Vec<(T, u64)> {
    all.iter().copied().zip(counters.iter().map(get)).collect()
}

impl Observer for Tally {
    fn observe(&self, event: &Event<'_>) {
        let counters = self.counters();
        let counter = match event {
            Event::Started(_) => Some(&counters.started),
            Event::Stopped(stop) => return self.count(stop),
            Event::Refused { why, .. } => Some(&counters.refusals[*why as usize]),
            Event::Failed { error, .. } if !error.is_disconnect() => {
                Some(&counters.errors[error.phase() as usize])
            }
            Event::Paused { .. } => Some(&counters.pauses),
            Event::WorkerStarted { .. } => Some(&counters.workers_started),
            Event::WorkerEnded { .. } => Some(&counters.workers_ended),
            // That a peer left is the reason of a stop, and nobody counts the others.
            Event::Failed { .. }
            | Event::Reload
            | Event::Draining
            | Event::Drained(_)
            | Event::Upgrading { .. }
            | Event::Upgraded { .. }
            | Event::UpgradeFailed { .. } => None,
        };
        counter.into_iter().for_each(|counter| add(counter, 1));
    }
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tally").field(&self.numbers()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_counter_for_every_reason() {
        assert!(
            (0..=u8::MAX)
                .filter(|&code| Reason::from_code(code).is_some())
                .all(|code| usize::from(code) < CODES)
        );
    }

    #[test]
    fn bounds_are_round_and_rise() {
        assert_eq!(MICROS[..4], [100, 250, 500, 1000]);
        assert_eq!(MICROS.last(), Some(&1_000_000_000));
        assert!(MICROS.is_sorted());
    }
}
