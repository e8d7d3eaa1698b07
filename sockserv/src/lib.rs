//! Write what one connection says, in plain blocking Rust; one attribute makes it a server under any concurrency model.
//!
//! ```
//! use sockserv::prelude::*;
//!
//! #[derive(Clone)]
//! struct Echo;
//!
//! #[server(tcp, threading, addr = "127.0.0.1:7007")]
//! impl Echo {
//!     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
//!         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
//!     }
//! }
//!
//! fn main() -> io::Result<()> {
//! #     if true {
//! #         // Not at its own port, which may be taken.
//! #         let server = EchoServer::bind_to("127.0.0.1:0", Echo)?.spawn()?;
//! #         sockserv::testing::Client::connect(&server).send("hello\n").expect_line("hello");
//! #         return Ok(());
//! #     }
//!     EchoServer::bind(Echo)?.run()
//! }
//! ```
//!
//! `threading` is the one word to change: `sync` serves one request after another, `pool` on a fixed number of threads,
//! `forking` gives each a process of its own, `prefork` has a fixed number of those. `tcp` may be `udp`, `unix`,
//! `unix_datagram`, or a stream and a datagram kind together.
//!
//! # What to read
//!
//! | | |
//! |---|---|
//! | [`guide`] | how to write, choose, test and run a server, chapter by chapter |
//! | [`server`] | the attribute: transports, models, options |
//! | [`Stream`], [`Datagram`], [`Request`] | what a handler is given |
//! | [`StreamHandler`], [`DatagramHandler`], [`Hooks`] | what a handler may have beside `handle` |
//! | [`Server`], [`Builder`], [`ServerHandle`], [`Running`] | what the attribute makes, and how to run it |
//! | [`RequestError`], [`DrainReport`], [`Stats`] | what went wrong, what became of it, how much there was |
//! | [`observer`] | being told of each request's start and end, and of what else happens: logs, traces, metrics |
//! | `admin` | the same for operators, over HTTP; with the feature `admin` |
//! | [`upgrade`] | a new version in the place of the old one, and no client notices |
//! | [`message`], [`command`] | a handler that is called once for each message; methods that its words call |
//! | [`codec`], [`Framed`] | where one message ends and the next begins, and messages read by hand |
//! | [`Address`], [`Endpoint`], [`Network`] | where a peer is, where one may listen, who may come |
//! | [`Listener`], [`Transport`], [`Model`] | the doors for what is not here: own sources, own carriers, own models |
//! | [`testing`], [`conformance!`] | a handler in memory, with a clock of its own; over a socket; under every model |
//! | [`compile_errors`] | every message of the attribute, with its cure |
//!
//! # The life of a request
//!
//! `setup`, `handle`, flush, `finish`, flush (or the datagram's reply), `handle_error` if anything failed (once, with the
//! first failure), end-of-file to the peer, close. After an error or a panic in `setup` neither `handle` nor `finish` runs;
//! `finish` runs whenever `setup` succeeded. What a stream handler wrote before an error is still sent. Every request has
//! its own clone of the handler; what requests share stands behind an `Arc` in a field.
//!
//! # Platforms, features, version
//!
//! Linux: the runtime is built on epoll, eventfd and pidfd (Linux 5.4). Rust 1.88 or later.
//!
//! | feature | |
//! |---|---|
//! | `admin` | `admin = "127.0.0.1:9100"` in the attribute: health, metrics for Prometheus and a page of live numbers, over HTTP |
//! | `cli` | `EchoServer::from_args(handler)`: every option as a flag and a variable of the environment, see [`cli`](https://docs.rs/sockserv/latest/sockserv/cli/) |
//! | `log` | the default `handle_error` writes through the [`log`](https://docs.rs/log) facade instead of to stderr; `access_log` |
//! | `tracing` | `observer::Tracing`: a span a request, for [`tracing`](https://docs.rs/tracing) |
//! | `rpc` | `rpc = "interface.x"` in the attribute: Sun RPC, types and dispatch from an interface file |
//! | `metrics` | `observer::Metrics`: counters, gauges and a histogram, for [`metrics`](https://docs.rs/metrics) |
//! | `upgrade` | a new process takes over from the old one, and no client notices: [`upgrade`] |
//! | `tokio-util` | `codec::Bridge`: codecs of [`tokio-util`](https://docs.rs/tokio-util) here, and those here there |

#![doc(test(attr(deny(warnings))))]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate self as sockserv;

mod address;
#[cfg(feature = "admin")]
#[cfg_attr(docsrs, doc(cfg(feature = "admin")))]
pub mod admin;
#[cfg(feature = "cli")]
#[cfg_attr(docsrs, doc(cfg(feature = "cli")))]
pub mod capacity;
#[cfg(feature = "cli")]
#[cfg_attr(docsrs, doc(cfg(feature = "cli")))]
pub mod cli;
pub mod codec;
pub mod command;
mod concurrency;
mod credentials;
mod drain;
mod error;
mod guard;
pub mod guide;
mod handler;
mod hooks;
mod limits;
mod listener;
pub mod message;
mod notify;
pub mod observer;
mod options;
mod request;
mod requests;
#[cfg(feature = "rpc")]
#[cfg_attr(docsrs, doc(cfg(feature = "rpc")))]
pub mod rpc;
mod server;
mod signals;
mod sys;
pub mod testing;
mod transport;
pub mod upgrade;

#[doc(hidden)]
pub mod __private;

#[doc = include_str!("compile_errors.md")]
pub mod compile_errors {}

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub use bytes;
pub use socket2;
#[doc(inline)]
#[doc = include_str!("attribute.md")]
pub use sockserv_macros::server;
#[doc(no_inline)]
pub use std::io;

pub use address::{Address, Endpoint, EndpointError, Kind};
pub use concurrency::{
    Forking, Model, Pool, Prefork, Synchronous, Threading, UncheckedForking, UncheckedPrefork,
    Unit, Workers,
};
pub use credentials::Credentials;
pub use drain::{DrainReport, Unfinished};
pub use error::{IntoOutcome, Outcome, Phase, RequestError, Timeout};
pub use handler::{DatagramHandler, StreamHandler};
pub use hooks::Hooks;
pub use limits::network::{Network, NetworkError};
pub use listener::{Incoming, Listener};
pub use message::{MessageHandler, Replies};
pub use options::{Accept, IntoEndpoints, OnFull, Options};
pub use request::{
    Busy, Conversation, Datagram, Framed, FramedReader, FramedWriter, PacketReader, PacketWriter,
    Reader, Request, Rfile, SendError, Sender, Stream, Wfile, Writer,
};
pub use requests::{ServerHandle, Stats};
pub use server::Server;
pub use server::builder::Builder;
pub use server::declare::Declaration;
pub use server::several::{Serve, Several, run};
pub use server::spawn::{Client, Running};
pub use std::io::{BufRead, Read, Write};
pub use transport::{Transport, Wait};

/// Everything that a small server needs: `use sockserv::prelude::*;`.
pub mod prelude {
    #[doc(no_inline)]
    pub use std::io::{self, BufRead, Read, Write};

    pub use bytes::Bytes;

    pub use crate::codec::FrameError;
    pub use crate::command::{Close, CommandError, Lines, Rest};
    pub use crate::{
        Address, Datagram, DatagramHandler, Endpoint, Hooks, Outcome, Replies, Request,
        RequestError, Stream, StreamHandler, server,
    };
}
