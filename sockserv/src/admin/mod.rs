//! The operator's endpoint: health, metrics and a page of live numbers, over HTTP.

mod connection;
mod http;
mod json;
mod metrics;
mod status;
mod tally;

use std::time::Duration;

use crate::address::Endpoint;
use crate::requests::Requests;

pub(crate) use connection::Connection;
pub(crate) use http::{Ask, Reply};
pub(crate) use tally::Tally;

/// A server as the endpoint sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The handler's type.
    pub(crate) handler: &'a str,
    /// The model's word.
    pub(crate) model: &'a str,
    pub(crate) listening: &'a [Endpoint],
    pub(crate) uptime: Duration,
    pub(crate) readiness: Readiness,
    pub(crate) requests: &'a Requests,
    pub(crate) tally: &'a Tally,
}

/// Whether new clients are welcome, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// No worker has prepared itself yet.
    Starting,
    /// `ServerHandle::suspend` is in force.
    Suspended,
    /// A shutdown was asked for, and everything goes on as before, so that load balancers notice.
    LameDuck,
    Draining,
}

impl Readiness {
    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Suspended => "suspended",
            Self::LameDuck => "lame duck",
            Self::Draining => "draining",
        }
    }
}

/// The page, which asks for `status.json` again and again.
const PAGE: &str = include_str!("page.html");

/// What the page may do: what it is made of, and no more.
const NOTHING_FROM_ELSEWHERE: &str = "Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; \
    style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n";

/// Answers one question.
pub(crate) fn answer(ask: &Ask, view: &View<'_>) -> Reply {
    match &*ask.path {
        "/" => Reply::new(200, "text/html; charset=utf-8", PAGE).with(NOTHING_FROM_ELSEWHERE),
        "/healthz" => Reply::text(200, "ok\n"),
        "/readyz" => {
            let is_ready = view.readiness == Readiness::Ready;
            let status = if is_ready { 200 } else { 503 };
            Reply::text(status, format!("{}\n", view.readiness.word()))
        }
        "/metrics" => Reply::new(200, metrics::KIND, metrics::text(&view.tally.numbers())),
        "/status.json" => Reply::new(200, "application/json", status::json(view)),
        _ => Reply::text(
            404,
            "no such page; there are /, /healthz, /readyz, /metrics and /status.json\n",
        ),
    }
}
