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

mod event;
#[cfg(feature = "log")]
pub(crate) mod log;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(any(feature = "admin", feature = "metrics"))]
pub(crate) mod names;
mod reason;
#[cfg(feature = "tracing")]
mod tracing;

use std::fmt;
use std::sync::Arc;

use crate::address::Address;
use crate::error::Phase;
use crate::guard::guard_value;

pub use self::event::{Event, Start, Stop};
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use self::metrics::Metrics;
pub use self::reason::{Reason, Refusal};
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
