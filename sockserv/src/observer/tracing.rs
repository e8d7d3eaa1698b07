//! [`Tracing`]: a span a request, and an event for what else there is to tell, through the `tracing` facade.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{Span, debug, error, field, info, info_span, warn};

use crate::observer::{Event, Observer, Reason, Start, Stop};

/// Opens a span for each request and enters it around each method of its handler, so that what the handler itself traces
/// is inside it.
///
/// The span is `sockserv.request`, of level `info` and target `sockserv`, with the fields `request`, `peer` and
/// `transport`, and at its end `bytes_in`, `bytes_out`, `seconds`, `phase` and `reason`. In it: an event of level `error`
/// for what failed (`debug` if the peer merely left). Without a span: `debug` for a refused peer, `warn` for a listener
/// that pauses, `info` for the two ends of a drain and for workers.
///
/// It is entered on the thread that runs the method and left before that method returns to the runtime. Under `forking`
/// the method's own events are told in the child, to its copy of the subscriber; the span ends in the parent.
///
/// # Examples
///
/// ```
/// use sockserv::observer::Tracing;
/// use sockserv::prelude::*;
/// use tracing_subscriber::fmt::format::FmtSpan;
///
/// # static TEXT: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());
/// # struct Text;
/// # impl Write for Text {
/// #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
/// #         TEXT.lock().unwrap().push_str(str::from_utf8(bytes).unwrap());
/// #         Ok(bytes.len())
/// #     }
/// #     fn flush(&mut self) -> io::Result<()> {
/// #         Ok(())
/// #     }
/// # }
/// #
/// #[derive(Clone)]
/// struct Hello;
///
/// #[server(tcp, addr = "127.0.0.1:0")]
/// impl Hello {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         tracing::info!("inside the span");
///         stream.wfile.write_all(b"hello\n")
///     }
/// }
///
/// let subscriber = tracing_subscriber::fmt().with_span_events(FmtSpan::CLOSE);
/// # let subscriber = subscriber.with_writer(|| Text);
/// let subscriber = subscriber.finish();
/// tracing::subscriber::with_default(subscriber, || -> io::Result<()> {
///     let mut server = HelloServer::builder(Hello).observer(Tracing::new()).bind()?;
///     let client = std::net::TcpStream::connect(server.local_addr().as_inet().unwrap())?;
///     server.handle_request()?;
///     assert_eq!(io::read_to_string(client)?, "hello\n");
///     Ok(())
/// })?;
/// # let text = TEXT.lock().unwrap();
/// # let lines: Vec<&str> = text.lines().collect();
/// # let inside = lines.iter().position(|line| line.ends_with(": inside the span")).expect("it was told");
/// # assert!(lines[inside].contains("sockserv.request{request=1 peer=127.0.0.1:"), "{text}");
/// # assert!(lines[inside..].iter().any(|line| line.contains("bytes_out=6") && line.contains("reason=\"finished\"")), "{text}");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Tracing {
    /// The spans of live requests.
    spans: Mutex<HashMap<u64, Span>>,
}

impl Tracing {
    /// Makes one, which uses whatever subscriber is in force when an event comes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn spans(&self) -> MutexGuard<'_, HashMap<u64, Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The span is cloned, so that no subscriber runs under the lock.
    fn span(&self, request: Option<u64>) -> Span {
        let spans = self.spans();
        let span = request.and_then(|request| spans.get(&request).cloned());
        span.unwrap_or_else(Span::none)
    }

    fn start(&self, start: &Start<'_>) {
        let span = info_span!(
            target: "sockserv",
            "sockserv.request",
            request = start.request,
            peer = %start.peer,
            transport = start.transport.map(field::display),
            bytes_in = field::Empty,
            bytes_out = field::Empty,
            seconds = field::Empty,
            phase = field::Empty,
            reason = field::Empty,
        );
        self.spans().insert(start.request, span);
    }

    fn stop(&self, stop: &Stop<'_>) {
        let span = self.spans().remove(&stop.request);
        let Some(span) = span else {
            return;
        };
        span.record("bytes_in", stop.bytes_in)
            .record("bytes_out", stop.bytes_out)
            .record("seconds", stop.duration.as_secs_f64())
            .record("phase", field::display(stop.phase))
            .record("reason", stop.reason.name());
    }
}

impl Observer for Tracing {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Started(start) => self.start(start),
            Event::Stopped(stop) => self.stop(stop),
            Event::Failed {
                request,
                error,
                peer,
            } => {
                let span = self.span(*request);
                match Reason::of(error) {
                    Reason::Disconnected => {
                        debug!(target: "sockserv", parent: &span, %peer, %error, "the peer left");
                    }
                    _ => error!(target: "sockserv", parent: &span, %peer, %error, "request failed"),
                }
            }
            Event::Refused { peer, why } => debug!(target: "sockserv", %peer, %why, "refused"),
            Event::Paused { at, error, pause } => {
                warn!(target: "sockserv", %at, %error, ?pause, "cannot accept");
            }
            Event::Reload => info!(target: "sockserv", "reloading"),
            Event::Draining => info!(target: "sockserv", "draining"),
            Event::Drained(report) => info!(target: "sockserv", %report, "drained"),
            Event::Upgrading { pid } => info!(target: "sockserv", pid, "upgrading"),
            Event::Upgraded { pid } => info!(target: "sockserv", pid, "upgraded"),
            Event::UpgradeFailed { why } => warn!(target: "sockserv", why, "upgrade failed"),
            Event::WorkerStarted { worker, pid } => {
                info!(target: "sockserv", worker, pid, "worker started");
            }
            Event::WorkerEnded {
                worker,
                pid,
                status,
            } => info!(target: "sockserv", worker, pid, %status, "worker ended"),
        }
    }

    fn around(&self, request: u64, call: &mut dyn FnMut()) {
        self.span(Some(request)).in_scope(call);
    }
}
