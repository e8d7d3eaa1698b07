//! What a server says by itself: lines on standard error, or in the log, and not too many a second.

use std::io;
#[cfg(not(feature = "log"))]
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::clock::Tick;
use crate::sys::shared::{Memory, Shared};

/// Lets a bounded number of lines a second through, and counts those that it holds back.
#[derive(Debug)]
pub(crate) struct Throttle {
    a_second: u8,
    own: Count,
    /// In memory of the first server that asked for it, which stays mapped.
    shared: OnceLock<Shared<Count>>,
}

/// One word, for processes to share: a [`Lines`].
#[derive(Debug, Default)]
#[repr(transparent)]
struct Count(AtomicU64);

crate::sys::shared::shareable!(Count);

/// The lines of a second.
struct Lines {
    /// When it began, in milliseconds since boot: they may wrap.
    began: u32,
    said: u8,
    /// How many were held back since the last that was said.
    missed: u32,
}

/// How many bits count the lines that were held back.
const MISSED: u32 = 24;

impl Lines {
    fn of(word: u64) -> Self {
        Self {
            began: (word >> 32) as u32,
            said: (word >> MISSED) as u8,
            missed: word as u32 & ((1 << MISSED) - 1),
        }
    }

    fn word(&self) -> u64 {
        let missed = self.missed.min((1 << MISSED) - 1);
        (u64::from(self.began) << 32) | (u64::from(self.said) << MISSED) | u64::from(missed)
    }
}

impl Throttle {
    pub(crate) const fn new(a_second: u8) -> Self {
        Self {
            a_second,
            own: Count(AtomicU64::new(0)),
            shared: OnceLock::new(),
        }
    }

    /// Lets the children of this process count on the same word from now on.
    pub(super) fn share(&self, memory: &mut Memory) -> io::Result<()> {
        if self.shared.get().is_none() {
            let _ = self.shared.set(memory.table(1)?); // Another thread's will do.
        }
        Ok(())
    }

    /// Writes what `line` makes of the number of lines held back since the last one, or holds this one back too.
    pub(crate) fn say(&self, line: impl FnOnce(u64) -> String) {
        if let Some(missed) = self.pass() {
            note(&line(missed));
        }
    }

    fn pass(&self) -> Option<u64> {
        let Count(word) = self.shared.get().map_or(&self.own, |shared| &shared[0]);
        let now = (Tick::coarse().0 / 1_000_000) as u32;
        let mut passed = None;
        let step = |word| {
            let mut lines = Lines::of(word);
            if now.wrapping_sub(lines.began) >= 1000 {
                (lines.began, lines.said) = (now, 0);
            }
            passed = (lines.said < self.a_second).then(|| u64::from(lines.missed));
            match passed {
                Some(_) => (lines.said, lines.missed) = (lines.said + 1, 0),
                None => lines.missed += 1,
            }
            Some(lines.word())
        };
        let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step); // It always has a next word.
        passed
    }
}

/// Writes one line where the default `handle_error` writes.
#[cfg(feature = "log")]
pub(crate) fn note(line: &str) {
    log::error!(target: "sockserv", "{line}");
}

/// Writes one line where the default `handle_error` writes.
#[cfg(not(feature = "log"))]
pub(crate) fn note(line: &str) {
    // One write, so that lines of several threads and processes do not mix; a closed stderr has nowhere to complain.
    let _ = io::stderr().write_all(format!("sockserv: {line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sys::clock::{Stopped, jump};

    #[test]
    fn the_next_second_tells_of_what_was_held_back() {
        let throttle = Throttle::new(2);
        let _stopped = Stopped::now();
        let passed = || [(); 4].map(|()| throttle.pass());
        let begin = Tick::coarse();
        assert_eq!(passed(), [Some(0), Some(0), None, None]);
        jump(begin.after(Duration::from_millis(900)));
        assert_eq!(throttle.pass(), None);
        jump(begin.after(Duration::from_secs(2)));
        assert_eq!(passed(), [Some(3), Some(0), None, None]);
    }

    #[test]
    fn what_was_held_back_is_counted_as_far_as_there_is_room() {
        let throttle = Throttle::new(1);
        let lines = Lines {
            began: 0,
            said: 1,
            missed: u32::MAX,
        };
        throttle.own.0.store(lines.word(), Ordering::Relaxed);
        let _stopped = Stopped::now();
        jump(Tick(1_500_000_000));
        assert_eq!(throttle.pass(), Some((1 << MISSED) - 1));
        assert_eq!(throttle.pass(), None);
    }

    #[test]
    fn once_shared_it_goes_on_in_the_same_word() {
        let throttle = Throttle::new(1);
        let memory = &mut Memory::default();
        throttle.share(memory).expect("memory");
        throttle.share(memory).expect("memory");
        let _stopped = Stopped::now();
        assert_eq!([throttle.pass(), throttle.pass()], [Some(0), None]);
        assert_eq!(throttle.own.0.load(Ordering::Relaxed), 0);
    }
}
