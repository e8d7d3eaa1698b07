//! Tests for a handler, in three sizes: in memory, over a socket, and under every model.
//!
//! **In memory**, where most tests belong: no socket, no thread, and a clock that jumps, so that ten seconds of silence take
//! no time at all. The script comes first, then `run`, and what is left to do is to look at the [`Record`].
//!
//! ```
//! use sockserv::prelude::*;
//! use sockserv::testing;
//!
//! #[derive(Clone)]
//! struct Echo;
//!
//! #[server(tcp, threading)]
//! impl Echo {
//!     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
//!         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
//!     }
//! }
//!
//! // #[test]
//! fn echoes_in_memory() {
//!     let record = testing::stream(Echo).sends("hello\n").eof().run();
//!     assert_eq!(record.text(), "hello\n");
//! }
//! # echoes_in_memory();
//! ```
//!
//! **Over a socket**, as a client sees it: the server listens on a free port, and a [`Client`] asks it. A step that fails says
//! which one it was, and what has come so far.
//!
//! ```
//! # use sockserv::prelude::*;
//! # #[derive(Clone)]
//! # struct Echo;
//! # #[server(tcp, threading)]
//! # impl Echo {
//! #     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
//! #         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
//! #     }
//! # }
//! use sockserv::testing::Client;
//!
//! // #[test]
//! fn echoes_over_a_socket() -> io::Result<()> {
//!     let server = EchoServer::bind_to("127.0.0.1:0", Echo)?.spawn()?;
//!     Client::connect(&server).send("hello\n").expect_line("hello").eof().expect_eof();
//!     Ok(())
//! }
//! # echoes_over_a_socket()?;
//! # Ok::<(), io::Error>(())
//! ```
//!
//! [`Program`] does the same with a server that is a program of its own.
//!
//! **Under every model**, so that the word in the attribute stays the one thing to change:
//! [`conformance!`](crate::conformance) runs the same script against the handler under each and compares the bytes.
//!
//! ```
//! # use sockserv::prelude::*;
//! # #[derive(Clone)]
//! # struct Echo;
//! # #[server(tcp, threading)]
//! # impl Echo {
//! #     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
//! #         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
//! #     }
//! # }
//! // #[test]
//! fn echoes_under_every_model() {
//!     let said = sockserv::conformance!(Echo, |peer| peer.send("hello\n").eof());
//!     assert_eq!(said, b"hello\n");
//! }
//! # echoes_under_every_model();
//! ```
//! # What memory is not
//!
//! There is no socket: [`Stream::socket`](crate::Stream::socket) panics, descriptors cannot be passed, and
//! [`finish_in_child`](crate::Stream::finish_in_child) is refused, as everywhere beside a harness's threads. The clock that
//! jumps is that of the request; `Instant::now()` and other threads have their own. The rest is the runtime itself:
//! `worker_start`, `allow` and `deny`, `verify_request`, all methods with their phases, `handle_error`, deadlines, a drain.

mod client;
mod conformance;
mod datagram;
mod ground;
mod memory;
mod program;
mod record;
mod stream;
mod under;

pub use client::Client;
#[doc(hidden)]
pub use conformance::Trial;
pub use datagram::DatagramTest;
pub use program::Program;
pub use record::Record;
pub use stream::StreamTest;

use std::net::{Ipv4Addr, SocketAddr};

use crate::address::Address;
use crate::handler::{DatagramHandler, StreamHandler};
use crate::server::declare::Declaration;

/// Begins a script for one connection to this handler: what its peer does, in order.
pub fn stream<H: Declaration + StreamHandler>(handler: H) -> StreamTest<H> {
    StreamTest::new(handler)
}

/// Begins a script for this datagram handler: what its peers send, in order.
pub fn datagram<H: Declaration + DatagramHandler>(handler: H) -> DatagramTest<H> {
    DatagramTest::new(handler)
}

/// A peer on this machine.
fn somebody() -> Address {
    Address::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 49152)))
}
