//! [`Record`]: what became of requests that ran in memory.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::client::quoted;
use super::memory::Written;
use crate::error::RequestError;
use crate::observer::{Event, Observer, Reason, Refusal};
use crate::requests::lock;

/// How long another thread may need that was given the rest of a request.
const ELSEWHERE_WAIT: Duration = Duration::from_secs(10);

/// What became of a request that ran in memory: what it said, what went wrong, and how it ended.
///
/// # Examples
///
/// ```
/// use sockserv::observer::Reason;
/// use sockserv::prelude::*;
/// use sockserv::testing;
///
/// #[derive(Clone)]
/// struct Sum;
///
/// #[server(tcp, threading)]
/// impl Sum {
///     fn handle(&mut self, stream: &mut Stream) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///         let mut line = String::new();
///         stream.rfile.read_line(&mut line)?;
///         let sum: u64 = line.split_whitespace().map(str::parse::<u64>).sum::<Result<_, _>>()?;
///         Ok(writeln!(stream, "{sum}")?)
///     }
///
///     fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
/// }
///
/// let record = testing::stream(Sum).sends("40 2\n").run();
/// assert_eq!(record.text(), "42\n");
/// assert_eq!(record.reason(), Some(Reason::Finished));
///
/// let record = testing::stream(Sum).sends("40 two\n").run();
/// assert_eq!(record.text(), "");
/// assert_eq!(record.error().unwrap().to_string(), "handle: invalid digit found in string");
/// ```
pub struct Record {
    written: Written,
    seen: Seen,
}

impl Record {
    pub(super) fn new(written: Written, seen: Seen) -> Self {
        Self { written, seen }
    }

    /// Returns all that was sent to the peer.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.written.bytes
    }

    /// Returns all that was sent to the peer, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.bytes).into_owned()
    }

    /// Returns what was sent to the peer in the pieces in which it left: one for each flush of a stream that was taken whole,
    /// and one for each datagram.
    #[must_use]
    pub fn pieces(&self) -> Vec<&[u8]> {
        self.written.pieces()
    }

    /// Returns the first thing that went wrong, with its phase: what `handle_error` was told.
    #[must_use]
    pub fn error(&self) -> Option<&RequestError> {
        self.seen.error.as_ref()
    }

    /// Returns why the request ended, the last one if there were several; `None` if it was refused.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.seen.reason
    }

    /// Returns why the request was refused, if it was: by `verify_request`, or by `allow` and `deny`.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.seen.refusal
    }

    /// Returns how long the request took, by the clock of the test: as long as it waited.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.seen.elapsed
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("written", &format_args!("{}", quoted(self.written())))
            .field("error", &self.error().map(ToString::to_string))
            .field("reason", &self.reason())
            .field("refusal", &self.refusal())
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

/// What an observer of the requests was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    error: Option<RequestError>,
    reason: Option<Reason>,
    refusal: Option<Refusal>,
    elapsed: Duration,
    alive: usize,
}

impl Seen {
    pub(super) fn error(&self) -> Option<&RequestError> {
        self.error.as_ref()
    }
}

/// The observer.
#[derive(Clone, Default)]
pub(super) struct Witness(Arc<(Mutex<Seen>, Condvar)>);

impl Witness {
    /// Waits until all requests have ended: another thread may have the rest of one.
    #[track_caller]
    pub(super) fn seen(&self) -> Seen {
        let (seen, told) = &*self.0;
        let is_alive = |seen: &mut Seen| seen.alive > 0;
        let waited = told.wait_timeout_while(lock(seen), ELSEWHERE_WAIT, is_alive);
        let (seen, waited) = waited.expect("an observer does not panic");
        assert!(
            !waited.timed_out(),
            "a request has not ended after {ELSEWHERE_WAIT:?}"
        );
        seen.clone()
    }
}

impl Observer for Witness {
    fn observe(&self, event: &Event<'_>) {
        let mut seen = lock(&self.0.0);
        match event {
            Event::Started(_) => seen.alive += 1,
            Event::Failed { error, .. } if seen.error.is_none() => {
                seen.error = Some((*error).clone());
            }
            Event::Refused { why, .. } => seen.refusal = Some(*why),
            Event::Stopped(stop) => {
                seen.reason = Some(stop.reason);
                seen.elapsed += stop.duration;
                seen.alive -= 1;
                self.0.1.notify_all();
            }
            _ => {}
        }
    }
}
