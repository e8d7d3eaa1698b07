//! [`Observer`]: what a server tells of its requests and of itself, as typed events, and the adapters that carry them on.
//!
//! | feature | write | to have |
//! |---|---|---|
//! | `log` | `access_log = true` | a line for each request, at its end |
//! | `tracing` | `observer = sockserv::observer::Tracing::new()` | a span for each request, and events |
//! | `metrics` | `observer = sockserv::observer::Metrics::new()` | counters, gauges and a histogram |
//! | `admin` | `admin = "127.0.0.1:9100"` | the same numbers over HTTP, for Prometheus and on a page |
//!
//! # The numbers
//!
//! What `metrics` and `admin` tell:
//!
//! | name | kind | unit | labels |
//! |---|---|---|---|
//! | `sockserv_requests_started_total` | counter | | |
//! | `sockserv_requests_active` | gauge | | |
//! | `sockserv_requests_finished_total` | counter | | `reason`: the [reason's name](Reason::name) |
//! | `sockserv_request_duration_seconds` | histogram | seconds | |
//! | `sockserv_received_bytes_total` | counter | bytes | |
//! | `sockserv_sent_bytes_total` | counter | bytes | |
//! | `sockserv_refused_total` | counter | | `reason`: the [refusal's name](Refusal::name) |
//! | `sockserv_errors_total` | counter | | `phase`: the [phase](Phase) that failed, unless it was that the peer left |
//! | `sockserv_pauses_total` | counter | | |
//! | `sockserv_workers` | gauge | | |
//!
//! Every request is in exactly one `finished`. Bytes are added when a request ends.
//!
//! # The access log
//!
//! One record of the [`log`](https://docs.rs/log) facade for each request, of level `info` and target `sockserv::access`:
//!
//! ```text
//! 127.0.0.1:50312 tcp 0.001274 27 1024 finished
//! ```
//!
//! Six words with one space between them, and this does not change: the peer (white space in a Unix path is escaped), the
//! transport (`tcp`, `udp`, `unix`, `unix-datagram`, or `-` for an own one), the duration in seconds with six decimals,
//! the bytes received, the bytes sent, and the [name of the reason](Reason::name).

#[cfg(feature = "log")]
pub(crate) mod log;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(any(feature = "admin", feature = "metrics"))]
pub(crate) mod names;
#[cfg(feature = "tracing")]
mod tracing;

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::{Address, Endpoint, Kind};
use crate::drain::DrainReport;
use crate::error::{Phase, RequestError, Timeout};
use crate::guard::guard_value;

#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use self::metrics::Metrics;
#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub use self::tracing::Tracing;

/// Is told what happens in a server: `observer = ...` in the attribute, or [`Builder::observer`](crate::Builder::observer).
///
/// Each accepted request has exactly one [`Started`](Event::Started) and one [`Stopped`](Event::Stopped), on every path and
/// in every model. Both are told in the process that accepted it: under `forking` by the parent, which learns from the
/// table of requests what its children did. A server without observers pays one comparison for each event.
///
/// Events of different requests come from different threads, and at the same time. An observer that panics is reported
/// as a failed hook and harms nothing. It should be quick: `sync`, `forking` and all refusals are told by the thread that
/// accepts.
///
/// # Examples
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use sockserv::observer::{Event, Observer, Reason};
/// use sockserv::prelude::*;
///
/// #[derive(Clone, Default)]
/// struct Ends(Arc<Mutex<Vec<Reason>>>);
///
/// impl Observer for Ends {
///     fn observe(&self, event: &Event<'_>) {
///         if let Event::Stopped(stop) = event {
///             self.0.lock().unwrap().push(stop.reason);
///         }
///     }
/// }
///
/// #[derive(Clone)]
/// struct Hello;
///
/// #[server(tcp, addr = "127.0.0.1:0")]
/// impl Hello {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         stream.wfile.write_all(b"hello\n")
///     }
/// }
///
/// let ends = Ends::default();
/// let mut server = HelloServer::builder(Hello).observer(ends.clone()).bind()?;
/// let client = std::net::TcpStream::connect(server.local_addr().as_inet().unwrap())?;
/// server.handle_request()?;
/// assert_eq!(io::read_to_string(client)?, "hello\n");
/// assert_eq!(*ends.0.lock().unwrap(), [Reason::Finished]);
/// # Ok::<(), io::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an observer",
    label = "cannot be told of events",
    note = "write `impl Observer for {Self}`, with `fn observe(&self, event: &Event<'_>)`"
)]
pub trait Observer: Send + Sync + 'static {
    /// Is told of an event, just after it happened; of a [`Stopped`](Event::Stopped) just before the peer can see the end,
    /// unless another process served it.
    fn observe(&self, event: &Event<'_>);

    /// Stands around each method of the handler, and around a rest that it handed over: it must call `call` once. The
    /// default does nothing else.
    ///
    /// It runs in the request's own unit, a child process included, from the beginning of one method to its end, and
    /// nothing unwinds through it. `request` is the number that [`Started`](Event::Started) told.
    fn around(&self, request: u64, call: &mut dyn FnMut()) {
        let _ = request;
        call();
    }
}

/// What an [`Observer`] is told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A request was accepted and verified. What follows may still fail: cloning the handler, starting a thread, forking.
    Started(Start<'a>),
    /// A request has ended, in whatever way.
    Stopped(Stop<'a>),
    /// Something of the user's failed: [`handle_error`](crate::Hooks::handle_error) is told the same.
    ///
    /// Told in the process where it failed, which under `forking` is the child, unless the child died of it.
    #[non_exhaustive]
    Failed {
        /// The request, or `None` if a hook failed that belongs to none.
        request: Option<u64>,
        /// What failed, and in which [`phase`](RequestError::phase).
        error: &'a RequestError,
        /// Whose request it was.
        peer: &'a Address,
    },
    /// A peer was turned away: it has neither a start nor a stop.
    #[non_exhaustive]
    Refused {
        /// Who it was.
        peer: &'a Address,
        /// Why.
        why: Refusal,
    },
    /// A listener pauses, because descriptors or memory ran out.
    #[non_exhaustive]
    Paused {
        /// Which listener.
        at: &'a Endpoint,
        /// What accept(2) said.
        error: &'a io::Error,
        /// How long.
        pause: Duration,
    },
    /// SIGHUP came under [`run`](crate::Server::run): read again what may have changed. Told before the workers of `prefork`
    /// are renewed, in the master.
    Reload,
    /// A run ends: the listeners close, and the requests that are alive are told.
    Draining,
    /// A run has ended. Every request of it has had its stop.
    Drained(&'a DrainReport),
    /// Another process of the same program was started, which is to take over.
    #[non_exhaustive]
    Upgrading {
        /// Its process.
        pid: u32,
    },
    /// It has taken over: this one drains.
    #[non_exhaustive]
    Upgraded {
        /// The process that accepts from now on.
        pid: u32,
    },
    /// It could not take over: this one goes on.
    #[non_exhaustive]
    UpgradeFailed {
        /// Why.
        why: &'a str,
    },
    /// A worker process of `prefork` was started. Told in the master.
    #[non_exhaustive]
    WorkerStarted {
        /// Its number, which its successor will have too.
        worker: usize,
        /// Its process.
        pid: u32,
    },
    /// A worker process of `prefork` has ended. Told in the master.
    #[non_exhaustive]
    WorkerEnded {
        /// Its number.
        worker: usize,
        /// Its process.
        pid: u32,
        /// How it ended.
        status: ExitStatus,
    },
}

/// The beginning of a request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Start<'a> {
    /// Its number: no two requests of a server have the same.
    pub request: u64,
    /// The other end.
    pub peer: &'a Address,
    /// Where the peer connected or sent to, if that is known without asking the kernel.
    pub local: Option<&'a Address>,
    /// What carries it; `None` if that is an own transport.
    pub transport: Option<Kind>,
    /// When it was accepted.
    pub when: Instant,
}

/// The end of a request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Stop<'a> {
    /// Its number, as at its start.
    pub request: u64,
    /// The other end.
    pub peer: &'a Address,
    /// What carried it; `None` if that was an own transport.
    pub transport: Option<Kind>,
    /// How long it took, from its start until its end was sent.
    pub duration: Duration,
    /// How many bytes it received.
    pub bytes_in: u64,
    /// How many bytes it sent.
    pub bytes_out: u64,
    /// How far it came: [`Close`](Phase::Close) if it finished, else where it failed or was given up.
    pub phase: Phase,
    /// Why it ended.
    pub reason: Reason,
}

/// Why a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// All methods of its handler returned without an error, and all that they wrote was sent.
    Finished,
    /// One of them returned an error, the reply could not be sent, or the request could not be dispatched.
    Failed,
    /// One of them panicked.
    Panicked,
    /// Its peer left in the middle.
    Disconnected,
    /// A deadline passed.
    TimedOut(Timeout),
    /// A shutdown cut it, or left it behind.
    Cut,
    /// Its process ended by itself: a crash, an `exit`, a signal from elsewhere.
    Exited,
}

impl Reason {
    pub(crate) fn of(error: &RequestError) -> Self {
        match error.timeout() {
            _ if error.is_panic() => Self::Panicked,
            _ if error.is_cut() => Self::Cut,
            Some(timeout) => Self::TimedOut(timeout),
            None if error.is_disconnect() => Self::Disconnected,
            None => Self::Failed,
        }
    }

    /// Returns its name, which does not change: a label for metrics, a word in the access log.
    ///
    /// `finished`, `failed`, `panicked`, `disconnected`, `cut`, `exited`, or the name of the option that timed out with
    /// what waited: `first_byte_timeout`, `read_timeout`, `write_timeout`, `request_timeout`, `min_rate`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Disconnected => "disconnected",
            Self::TimedOut(timeout) => timeout.name(),
            Self::Cut => "cut",
            Self::Exited => "exited",
        }
    }

    /// A number for the table of requests, where zero is none at all.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Finished => 1,
            Self::Failed => 2,
            Self::Panicked => 3,
            Self::Disconnected => 4,
            Self::Cut => 5,
            Self::Exited => 6,
            Self::TimedOut(timeout) => TIMEOUTS + timeout as u8,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Finished,
            2 => Self::Failed,
            3 => Self::Panicked,
            4 => Self::Disconnected,
            5 => Self::Cut,
            6 => Self::Exited,
            _ => {
                let timeout = usize::from(code.checked_sub(TIMEOUTS)?);
                Self::TimedOut(*Timeout::ALL.get(timeout)?)
            }
        })
    }
}

/// Codes of deadlines begin here.
const TIMEOUTS: u8 = 16;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a peer was turned away.
///
/// The order is the one in which they are asked: what costs less comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The lists `allow` and `deny` say that it may not come at all. Closed without a word.
    Access,
    /// It comes more often than `accept_rate` allows. Told so by the `banner`, if there is one.
    Rate,
    /// It has `max_connections_per_peer` requests already. Told so by the `banner`.
    PerPeer,
    /// `max_connections` requests are alive, and `on_full` is [`Refuse`](crate::OnFull::Refuse). Told so by the `banner`.
    Full,
    /// [`verify_request`](crate::Hooks::verify_request) said no, or panicked. Closed without a word.
    Verify,
}

impl Refusal {
    /// Whether the peer may know why: one that may not come at all is told nothing.
    pub(crate) fn is_told(self) -> bool {
        matches!(self, Self::Rate | Self::PerPeer | Self::Full)
    }

    /// Returns its name, which does not change: `access`, `rate`, `per_peer`, `full` or `verify`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Rate => "rate",
            Self::PerPeer => "per_peer",
            Self::Full => "full",
            Self::Verify => "verify",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The observers of one server.
#[derive(Clone, Default)]
pub(crate) struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    pub(crate) fn push(&mut self, observer: impl Observer) {
        self.0.push(Arc::new(observer));
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells all of them. What makes the event runs only if there is one.
    #[inline]
    pub(crate) fn tell<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        if !self.is_empty() {
            self.tell_each(&event());
        }
    }

    #[cold]
    fn tell_each(&self, event: &Event<'_>) {
        for observer in &self.0 {
            guarded(|| observer.observe(event));
        }
    }

    /// Makes a call with all of them around it: exactly one, whatever they do.
    pub(crate) fn around<T>(&self, request: u64, mut call: impl FnMut() -> T) -> T {
        let mut result = None;
        nest(&self.0, request, &mut || {
            if result.is_none() {
                result = Some(call());
            }
        });
        result.unwrap_or_else(call)
    }
}

fn nest(observers: &[Arc<dyn Observer>], request: u64, call: &mut dyn FnMut()) {
    match observers.split_first() {
        None => call(),
        Some((first, rest)) => {
            guarded(|| first.around(request, &mut || nest(rest, request, call)));
        }
    }
}

/// Keeps an observer's panic from whatever it observes.
fn guarded(call: impl FnOnce()) {
    if let Err(error) = guard_value(Phase::Hook, call) {
        crate::error::report(&error, &Address::Unnamed);
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observers").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_reason_has_its_code() {
        let plain = [
            Reason::Finished,
            Reason::Failed,
            Reason::Panicked,
            Reason::Disconnected,
            Reason::Cut,
            Reason::Exited,
        ];
        for reason in plain.into_iter().chain(Timeout::ALL.map(Reason::TimedOut)) {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(Reason::from_code(0), None);
        assert_eq!(Reason::from_code(u8::MAX), None);
    }

    /// Calls as often as it says, then panics if it should.
    struct Around(usize, bool);

    impl Observer for Around {
        fn observe(&self, _event: &Event<'_>) {
            assert!(!self.1, "as it should");
        }

        fn around(&self, _request: u64, call: &mut dyn FnMut()) {
            (0..self.0).for_each(|_| call());
            assert!(!self.1, "as it should");
        }
    }

    #[test]
    fn a_call_is_made_once_whatever_observers_do() {
        for (times, panics) in [(1, false), (0, false), (3, false), (0, true), (1, true)] {
            let mut observers = Observers::default();
            observers.push(Around(1, false));
            observers.push(Around(times, panics));
            let calls = AtomicUsize::new(0);
            let result = observers.around(7, || calls.fetch_add(1, Ordering::Relaxed) + 1);
            assert_eq!((result, calls.into_inner()), (1, 1), "{times} {panics}");
            observers.tell(|| Event::Draining);
        }
    }
}
