//! [`Metrics`]: the server's numbers through the `metrics` facade.

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::observer::{Event, Observer, Stop};

/// Counts requests, refusals and workers for whatever recorder the program has installed.
///
/// | name | kind | unit | labels |
/// |---|---|---|---|
/// | `sockserv_requests_started_total` | counter | | |
/// | `sockserv_requests_active` | gauge | | |
/// | `sockserv_requests_finished_total` | counter | | `reason`: the [reason's name](crate::observer::Reason::name) |
/// | `sockserv_request_duration_seconds` | histogram | seconds | |
/// | `sockserv_received_bytes_total` | counter | bytes | |
/// | `sockserv_sent_bytes_total` | counter | bytes | |
/// | `sockserv_refused_total` | counter | | `reason`: the [refusal's name](crate::observer::Refusal::name) |
/// | `sockserv_pauses_total` | counter | | |
/// | `sockserv_workers` | gauge | | |
///
/// Every request is in exactly one `finished`. Bytes are added when a request ends.
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
        describe_counter!(STARTED, "Requests that were accepted and verified");
        describe_gauge!(ACTIVE, "Requests that are alive");
        describe_counter!(FINISHED, "Requests that have ended, by reason");
        describe_histogram!(DURATION, Unit::Seconds, "How long requests took");
        describe_counter!(RECEIVED, Unit::Bytes, "What requests received");
        describe_counter!(SENT, Unit::Bytes, "What requests sent");
        describe_counter!(REFUSED, "Peers that were turned away, by reason");
        describe_counter!(
            PAUSES,
            "How often a listener paused because descriptors or memory ran out"
        );
        describe_gauge!(WORKERS, "Worker processes of `prefork`");
        Self
    }
}

const STARTED: &str = "sockserv_requests_started_total";
const ACTIVE: &str = "sockserv_requests_active";
const FINISHED: &str = "sockserv_requests_finished_total";
const DURATION: &str = "sockserv_request_duration_seconds";
const RECEIVED: &str = "sockserv_received_bytes_total";
const SENT: &str = "sockserv_sent_bytes_total";
const REFUSED: &str = "sockserv_refused_total";
const PAUSES: &str = "sockserv_pauses_total";
const WORKERS: &str = "sockserv_workers";

impl Observer for Metrics {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Started(_) => {
                counter!(STARTED).increment(1);
                gauge!(ACTIVE).increment(1);
            }
            Event::Stopped(stop) => count(stop),
            Event::Refused { why, .. } => counter!(REFUSED, "reason" => why.name()).increment(1),
            Event::Paused { .. } => counter!(PAUSES).increment(1),
            Event::WorkerStarted { .. } => gauge!(WORKERS).increment(1),
            Event::WorkerEnded { .. } => gauge!(WORKERS).decrement(1),
            // Each failure is the reason of a stop, and a drain is over before anybody asks.
            Event::Failed { .. } | Event::Reload | Event::Draining | Event::Drained(_) => {}
        }
    }
}

fn count(stop: &Stop<'_>) {
    gauge!(ACTIVE).decrement(1);
    counter!(FINISHED, "reason" => stop.reason.name()).increment(1);
    histogram!(DURATION).record(stop.duration);
    counter!(RECEIVED).increment(stop.bytes_in);
    counter!(SENT).increment(stop.bytes_out);
}
