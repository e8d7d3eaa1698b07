//! [`Metrics`]: the server's numbers through the `metrics` facade.

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::observer::names::{
    ACTIVE, DURATION, ERRORS, FINISHED, PAUSES, RECEIVED, REFUSED, SENT, STARTED, WORKERS,
};
use crate::observer::{Event, Observer, Stop};

/// Counts requests, refusals and workers for whatever recorder the program has installed.
///
/// The [numbers](crate::observer#the-numbers) have the same names as those of the operator's endpoint.
///
/// # Platforms
///
/// A process has its own recorder. Under `forking` all of these are counted in the parent, and need nothing from the
/// children; what a handler counts itself stays in its child and is lost with it. Under `prefork` each worker counts its
/// own requests, so each needs a way out of its own (a push gateway, a port), made in `worker_start`; the master counts the
/// workers.
///
/// # Examples
///
/// ```
/// use metrics_util::debugging::{DebugValue, DebuggingRecorder};
/// use sockserv::observer::Metrics;
/// use sockserv::prelude::*;
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
/// let recorder = DebuggingRecorder::new();
/// metrics::with_local_recorder(&recorder, || -> io::Result<()> {
///     let mut server = HelloServer::builder(Hello).observer(Metrics::new()).bind()?;
///     let client = std::net::TcpStream::connect(server.local_addr().as_inet().unwrap())?;
///     server.handle_request()?;
///     assert_eq!(io::read_to_string(client)?, "hello\n");
///     Ok(())
/// })?;
/// let numbers = recorder.snapshotter().snapshot().into_vec();
/// let sent = numbers.iter().find(|(key, ..)| key.key().name() == "sockserv_sent_bytes_total");
/// assert_eq!(sent.map(|(.., value)| value), Some(&DebugValue::Counter(6)));
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Metrics;

impl Metrics {
    /// Makes one, and describes its metrics to the recorder, which should have been installed before.
    #[must_use]
    pub fn new() -> Self {
        describe_counter!(STARTED.name, STARTED.help);
        describe_gauge!(ACTIVE.name, ACTIVE.help);
        describe_counter!(FINISHED.name, FINISHED.help);
        describe_histogram!(DURATION.name, Unit::Seconds, DURATION.help);
        describe_counter!(RECEIVED.name, Unit::Bytes, RECEIVED.help);
        describe_counter!(SENT.name, Unit::Bytes, SENT.help);
        describe_counter!(REFUSED.name, REFUSED.help);
        describe_counter!(ERRORS.name, ERRORS.help);
        describe_counter!(PAUSES.name, PAUSES.help);
        describe_gauge!(WORKERS.name, WORKERS.help);
        Self
    }
}

impl Observer for Metrics {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Started(_) => {
                counter!(STARTED.name).increment(1);
                gauge!(ACTIVE.name).increment(1);
            }
            Event::Stopped(stop) => count(stop),
            Event::Refused { why, .. } => {
                counter!(REFUSED.name, "reason" => why.name()).increment(1)
            }
            Event::Paused { .. } => counter!(PAUSES.name).increment(1),
            Event::WorkerStarted { .. } => gauge!(WORKERS.name).increment(1),
            Event::WorkerEnded { .. } => gauge!(WORKERS.name).decrement(1),
            Event::Failed { error, .. } if !error.is_disconnect() => {
                counter!(ERRORS.name, "phase" => error.phase().to_string()).increment(1);
            }
            // That a peer left is the reason of a stop, and a drain is over before anybody asks.
            Event::Failed { .. }
            | Event::Reload
            | Event::Draining
            | Event::Drained(_)
            | Event::Upgrading { .. }
            | Event::Upgraded { .. }
            | Event::UpgradeFailed { .. } => {}
        }
    }
}

fn count(stop: &Stop<'_>) {
    gauge!(ACTIVE.name).decrement(1);
    counter!(FINISHED.name, "reason" => stop.reason.name()).increment(1);
    histogram!(DURATION.name).record(stop.duration);
    counter!(RECEIVED.name).increment(stop.bytes_in);
    counter!(SENT.name).increment(stop.bytes_out);
}
