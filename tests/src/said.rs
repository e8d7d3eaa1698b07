//! What a server says, and how it ended.

use std::io::{BufRead, BufReader, Read};
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{Client, DEADLINE};

/// One line of the server that begins with `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    line: String,
}

impl Event {
    fn parse(line: &str) -> Option<Self> {
        line.strip_prefix('@').map(|line| Event {
            line: line.to_owned(),
        })
    }

    /// What happened.
    #[must_use]
    pub fn name(&self) -> &str {
        self.line.split(' ').next().unwrap_or("")
    }

    /// One of its values.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        let values = || {
            self.line
                .split(' ')
                .skip(1)
                .filter_map(|pair| pair.split_once('='))
        };
        let found = values().find(|(name, _)| *name == key);
        found
            .unwrap_or_else(|| panic!("`{}` has no `{key}`", self.line))
            .1
    }

    /// One of its values as a number.
    #[must_use]
    pub fn number(&self, key: &str) -> u64 {
        self.get(key)
            .parse()
            .unwrap_or_else(|_| panic!("`{key}` of `{}` is no number", self.line))
    }

    pub(crate) fn concerns(&self, peer: &str) -> bool {
        self.line
            .split(' ')
            .any(|pair| pair.strip_prefix("peer=") == Some(peer))
    }
}

/// How a server ended, and everything that it said.
#[derive(Debug)]
pub struct Ended {
    /// How its process ended.
    pub status: ExitStatus,
    /// All its lines.
    pub lines: Vec<String>,
    /// How long the end took.
    pub took: Duration,
}

impl Ended {
    /// All events of a name.
    #[must_use]
    pub fn events(&self, name: &str) -> Vec<Event> {
        events(&self.lines)
            .filter(|event| event.name() == name)
            .collect()
    }

    /// Insists on a good end.
    pub fn expect_good(&self) {
        let Ended { status, lines, .. } = self;
        assert!(status.success(), "it ended with {status}: {lines:#?}");
    }

    /// Insists on a good end that did not take longer.
    pub fn expect_good_within(&self, time: Duration) {
        self.expect_good();
        assert!(self.took < time, "it took {:?}", self.took);
    }

    /// The last words: counts and the report.
    #[must_use]
    pub fn summary(&self) -> Event {
        self.events("ended")
            .pop()
            .unwrap_or_else(|| panic!("no summary among {:#?}", self.lines))
    }

    /// The names of the events that concern a client.
    #[must_use]
    pub fn story_of(&self, client: &Client) -> Vec<String> {
        events(&self.lines)
            .filter(|event| event.concerns(client.name()))
            .map(|event| event.name().to_owned())
            .collect()
    }

    /// Insists that observers were told of one start and one stop of this peer's only request, and why it ended.
    pub fn expect_one_life(&self, peer: &str, reason: &str) {
        let of = |name: &str| {
            let mut events = self.events(name);
            events.retain(|event| event.concerns(peer));
            events
        };
        let (starts, stops) = (of("start"), of("stop"));
        assert_eq!(
            (starts.len(), stops.len()),
            (1, 1),
            "starts and stops of {peer}, which should end as {reason}: {:#?}",
            self.lines
        );
        assert_eq!(starts[0].get("request"), stops[0].get("request"));
        assert_eq!(stops[0].get("reason"), reason, "{stops:?}");
    }

    /// Insists that observers were told of so many requests in all, each with one start and one stop.
    pub fn expect_lives(&self, count: usize) {
        let numbers = |name: &str| {
            let events = self.events(name).into_iter();
            let mut numbers: Vec<_> = events.map(|event| event.number("request")).collect();
            numbers.sort_unstable();
            numbers
        };
        let all: Vec<_> = (1..=count as u64).collect();
        assert_eq!(numbers("start"), all, "starts");
        assert_eq!(numbers("stop"), all, "stops");
    }

    /// Insists on so many requests that ended well and badly, and that none is left.
    pub fn expect_counts(&self, finished: u64, failed: u64, refused: u64) {
        let summary = self.summary();
        let counts =
            ["accepted", "active", "finished", "failed", "refused"].map(|key| summary.number(key));
        let expected = [finished + failed + refused, 0, finished, failed, refused];
        assert_eq!(
            counts, expected,
            "accepted, active, finished, failed, refused"
        );
    }
}

/// The events among these lines.
pub(crate) fn events(lines: &[String]) -> impl Iterator<Item = Event> {
    lines.iter().filter_map(|line| Event::parse(line))
}

/// Everything that a server has said.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Log {
    pub(crate) fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        self.lines().push(line);
        self.more.notify_all();
    }

    /// Waits so long for another line, and returns whether none came.
    pub(crate) fn is_quiet_for(&self, time: Duration) -> bool {
        let lines = self.lines();
        let known = lines.len();
        let same = |lines: &mut Vec<String>| lines.len() == known;
        self.more
            .wait_timeout_while(lines, time, same)
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .timed_out()
    }

    pub(crate) fn wait<T>(&self, mut find: impl FnMut(&[String]) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut lines = self.lines();
        loop {
            if let Some(found) = find(&lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited in vain for something that the server says"
            );
            lines = self
                .more
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Reads one of its outputs to the end, on a thread.
pub(crate) fn read(from: impl Read + Send + 'static, log: Arc<Log>) -> JoinHandle<()> {
    thread::spawn(move || {
        BufReader::new(from)
            .lines()
            .map_while(Result::ok)
            .for_each(|line| log.push(line))
    })
}
