//! The last resort of a test: to look again and again. Whatever can be told is waited for as an event.

use std::thread;
use std::time::{Duration, Instant};

use crate::DEADLINE;

/// Waits until something is so that nobody can be told of; says `otherwise` when it does not come true in time.
pub fn until(mut is_so: impl FnMut() -> bool, otherwise: impl FnOnce() -> String) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{}", otherwise());
        thread::sleep(Duration::from_millis(2)); // Between two looks; what is looked for decides, not the time.
    }
}

/// Waits for what explains itself.
#[track_caller]
pub fn wait_until(is_so: impl FnMut() -> bool) {
    let place = std::panic::Location::caller();
    until(is_so, || {
        format!("it does not come true in time, at {place}")
    });
}

/// Waits for a moment: who must not be faster than so many a second has nothing else to wait for.
pub fn pace(until: Instant) {
    thread::sleep(until.saturating_duration_since(Instant::now()));
}
