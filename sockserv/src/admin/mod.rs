//! The operator's endpoint: health, metrics and a page of live numbers, over HTTP.
//!
//! ```
//! use sockserv::prelude::*;
//!
//! #[derive(Clone)]
//! struct Echo;
//!
//! #[server(tcp, threading, addr = "127.0.0.1:0", admin = "127.0.0.1:0")]
//! impl Echo {
//!     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
//!         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
//!     }
//! }
//!
//! let server = EchoServer::bind(Echo)?;
//! let admin = server.admin_addrs()[0].as_inet().unwrap();
//! let running = server.spawn()?;
//!
//! let mut client = std::net::TcpStream::connect(admin)?;
//! client.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
//! let answer = io::read_to_string(client)?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nready\n"));
//! # drop(running);
//! # Ok::<(), io::Error>(())
//! ```
//!
//! The option needs the feature `admin`. [`run`](crate::Server::run) prints `admin on http://127.0.0.1:9100` below the lines
//! that say where the server listens.
//!
//! | path | |
//! |---|---|
//! | `/` | the page: open requests, requests a second, how long they take, errors by phase; for a browser, from this one answer |
//! | `/healthz` | 200 while the accept loop turns |
//! | `/readyz` | 200 while new clients are welcome; else 503, and why: `starting` (no worker of `prefork` has prepared itself), `suspended`, `lame duck`, `draining`. While a new process takes over it stays 200 |
//! | `/metrics` | the numbers below, in the [text format](https://prometheus.io/docs/instrumenting/exposition_formats/) of Prometheus |
//! | `/status.json` | what the page shows; its members may become more |
//!
//! Nothing here changes anything: `GET` and `HEAD` are all there is.
//!
//! # Metrics
//!
//! Names, kinds, units and labels are those of [`observer::Metrics`](crate::observer#the-numbers), for all processes of the
//! server together. The histogram has three bounds a decade, from 100 µs to 1000 s. What has not happened yet is there with
//! a zero, so that a rate begins with the first time.
//!
//! # Who may ask
//!
//! The page shows who is connected, so `admin` takes only addresses that this machine alone can reach: loopback ones and
//! Unix paths. Elsewhere `bind` fails, and says what to write: `admin_public`, for a network where a firewall or a container
//! decides who can ask. A loopback endpoint answers only those who ask for `localhost` or for an IP address, so that a page
//! from elsewhere cannot read it through the operator's own browser (DNS rebinding): others get a 421.
//!
//! # What it costs
//!
//! The endpoint has no thread: it is a few entries of the poll set in which the server waits for its clients, in the master
//! under `prefork`. So it also answers while a shutdown drains; and under `sync`, whose one thread serves, only between two
//! requests. It holds eight connections at most, closes the oldest for a ninth, and gives each five seconds to ask and five
//! to take the answer: nobody who asks slowly holds up anything. An idle server still makes no system call; a server without
//! the option pays nothing.

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
    /// Another process welcomes them at the same address.
    HandedOver,
}

impl Readiness {
    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Suspended => "suspended",
            Self::LameDuck => "lame duck",
            Self::Draining => "draining",
            Self::HandedOver => "handed over",
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
            let is_ready = matches!(view.readiness, Readiness::Ready | Readiness::HandedOver);
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
