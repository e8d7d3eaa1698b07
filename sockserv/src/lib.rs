//! Write what one connection says, in plain blocking Rust; one attribute makes it a server under any concurrency model.
extern crate self as sockserv;

mod address;
mod children;
mod concurrency;
mod drain;
mod error;
mod guard;
mod handler;
mod hooks;
mod listener;
mod options;
mod request;
mod requests;
mod server;
mod signals;
mod sys;
mod transport;

#[doc(hidden)]
pub mod __private;

pub use bytes;
pub use socket2;
pub use sockserv_macros::server;
pub use std::io;

pub use address::{Address, Endpoint, EndpointError, Kind};
pub use concurrency::{Forking, Model, Synchronous, Threading, UncheckedForking, Unit};
pub use drain::{DrainReport, Unfinished};
pub use error::{IntoOutcome, Outcome, Phase, RequestError, Timeout};
pub use handler::{DatagramHandler, StreamHandler};
pub use hooks::Hooks;
pub use listener::{Incoming, Listener};
pub use options::{IntoEndpoints, Options};
pub use request::{
    Busy, Conversation, Credentials, Datagram, PacketReader, PacketWriter, Reader, Request, Rfile,
    SendError, Sender, Stream, Wfile, Writer,
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
    pub use std::io::{self, BufRead, Read, Write};

    pub use crate::{
        Address, Datagram, DatagramHandler, Endpoint, Hooks, Outcome, Request, RequestError,
        Stream, StreamHandler, server,
    };
}
