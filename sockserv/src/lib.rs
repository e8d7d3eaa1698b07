//! Write the conversation with one client in plain blocking Rust; one attribute makes it a server, under any concurrency model.
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
//! `threading` gives each request a thread. It is the one word to change: `sync` serves one request after another, `pool`
//! has a fixed number of threads, `forking` gives each request a process, `prefork` has a fixed number of processes. In
//! place of `tcp` there may be `unix`; or `udp` or `unix_datagram`, for which `handle` takes a [`Datagram`]; or a stream and
//! a datagram kind together, for which it takes any [`Request`].
//!
//! # What to read
//!
//! | | |
//! |---|---|
//! | [`guide`] | how to write, choose, test and run a server, chapter by chapter |
//! | [`server`] | the attribute: transports, models, options |
//! | [`Stream`], [`Datagram`], [`Request`] | what a handler is called with |
//! | [`StreamHandler`], [`DatagramHandler`], [`Hooks`] | what a handler may have besides `handle` |
//! | [`Server`], [`Builder`], [`ServerHandle`], [`Running`] | what the attribute makes, and how to run it |
//! | [`RequestError`], [`DrainReport`], [`Stats`] | what went wrong in a request, how a shutdown ended, and the counters |
//! | [`observer`] | hear of each request's start and end, and of other events: logs, traces, metrics |
//! | `admin` | health, metrics and live numbers over HTTP; with the feature `admin` |
//! | [`upgrade`] | replace a running server by a new version without refusing a connection |
//! | [`message`], [`command`] | handlers that are called once for each message; methods that a message's words call |
//! | [`codec`], [`Framed`] | where one message ends and the next begins; messages read by hand |
//! | [`Address`], [`Endpoint`], [`Network`] | where a peer is, where to listen, who may connect |
//! | [`Listener`], [`Transport`], [`Model`] | bring your own source of connections, your own carrier of bytes, your own model |
//! | [`testing`], [`conformance!`] | test a handler in memory, with a clock that jumps; over a socket; under every model |
//! | [`compile_errors`] | every message of the attribute, and what to do about it |
//!
//! # The life of a request
//!
//! Every request gets its own clone of the handler; what requests share stands behind an `Arc` in a field. Then come, in
//! this order: `setup`, `handle`, flush, `finish`, flush (or the datagram's reply), `handle_error` if anything failed (once,
//! with the first failure), end-of-file to the peer, close.
//!
//! `finish` runs whenever `setup` succeeded; after an error or a panic in `setup`, neither `handle` nor `finish` runs. What
//! a stream handler wrote before an error is still sent.
//!
//! # Platforms, features, version
//!
//! Linux 5.4 or later, for epoll, eventfd and pidfd, with glibc or musl; Rust 1.88 or later. No feature is on by default:
//!
//! | feature | what it adds |
//! |---|---|
//! | `admin` | `admin = "127.0.0.1:9100"` in the attribute: health, metrics for Prometheus and a page of live numbers, over HTTP |
//! | `cli` | `EchoServer::from_args(handler)`: every option as a flag and an environment variable, see [`cli`](https://docs.rs/sockserv/latest/sockserv/cli/) |
//! | `log` | the default `handle_error` logs through [`log`](https://docs.rs/log) instead of writing to stderr; `access_log` |
//! | `tracing` | `observer::Tracing`: a span for each request, for [`tracing`](https://docs.rs/tracing) |
//! | `rpc` | `rpc = "interface.x"` in the attribute: Sun RPC, with types and dispatch from an interface file |
//! | `metrics` | `observer::Metrics`: counters, gauges and a histogram, for [`metrics`](https://docs.rs/metrics) |
//! | `upgrade` | the option `upgrade`: a new process takes over from the old one, see [`upgrade`] |
//! | `tokio-util` | `codec::Bridge`: the codecs of [`tokio-util`](https://docs.rs/tokio-util) here, and ours there |

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
mod named;
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
pub use options::{Accept, IntoEndpoints, IntoNetworks, OnFull, Options};
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

/// What a small server needs: `use sockserv::prelude::*;`.
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
