//! The numbers that every adapter knows, by name.

/// One number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
}

const fn number(name: &'static str, help: &'static str) -> Number {
    Number { name, help }
}

pub(crate) const STARTED: Number = number(
    "sockserv_requests_started_total",
    "Requests that were accepted and verified",
);
pub(crate) const ACTIVE: Number = number("sockserv_requests_active", "Requests that are alive");
pub(crate) const FINISHED: Number = number(
    "sockserv_requests_finished_total",
    "Requests that have ended, by reason",
);
pub(crate) const DURATION: Number = number(
    "sockserv_request_duration_seconds",
    "How long requests took",
);
pub(crate) const RECEIVED: Number =
    number("sockserv_received_bytes_total", "What requests received");
pub(crate) const SENT: Number = number("sockserv_sent_bytes_total", "What requests sent");
pub(crate) const REFUSED: Number = number(
    "sockserv_refused_total",
    "Peers that were turned away, by reason",
);
pub(crate) const ERRORS: Number = number(
    "sockserv_errors_total",
    "What failed in requests and hooks, by phase; not that a peer left",
);
pub(crate) const PAUSES: Number = number(
    "sockserv_pauses_total",
    "How often a listener paused because descriptors or memory ran out",
);
pub(crate) const WORKERS: Number = number("sockserv_workers", "Worker processes of `prefork`");
