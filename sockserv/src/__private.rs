//! Every name that generated code may use. Hidden, and not stable: nobody else may use them.

pub use bytes::Bytes;
pub use socket2;

pub use crate::address::{Address, Endpoint};
pub use crate::codec::{
    Decoder, Delimited, Ending, Fixed, LengthPrefixed, Lines, Overflow, RecordMarking, Width,
};
pub use crate::command::{
    Answer, Command, CommandError, CommandErrors, CommandHandler, Encodes, OpcodeHandler, Opens,
    Prints, Sends, Settles, Verb, Words, answer_error, serve_command, serve_frame_error,
    serve_opcode,
};
pub use crate::concurrency::{
    Forking, Model, Pool, Prefork, Synchronous, Threading, UncheckedForking, UncheckedPrefork,
};
pub use crate::error::{IntoOutcome, Outcome, RequestError};
pub use crate::handler::{DatagramHandler, StreamHandler};
pub use crate::hooks::{HookProbe, HookTable, Hooks, NoHooks};
pub use crate::listener::Incoming;
pub use crate::message::{Frames, MessageHandler, Replies, Talks, serve_messages, serve_packet};
pub use crate::options::{Accept, OnFull, Options};
pub use crate::request::{Datagram, Request, Stream};
pub use crate::requests::ServerHandle;
#[cfg(feature = "rpc")]
pub use crate::rpc::serve::{Records, answer_message, arguments, records, serve_call};
#[cfg(feature = "rpc")]
pub use crate::rpc::xdr::{Input, Output, Xdr, XdrError};
#[cfg(feature = "rpc")]
pub use crate::rpc::{Call, Fault, IntoResults, Program, Service};
pub use crate::server::Server;
pub use crate::server::builder::Builder;
#[cfg(feature = "cli")]
pub use crate::server::declare::Attribute;
pub use crate::server::declare::{
    Both, Datagrams, Declaration, DefaultProbe, NoAddr, NoDefault, Own, OwnListener, Spawnable,
    Streams, Tcp, Transport, Udp, Unix, UnixDatagram,
};
pub use crate::server::several::Serve;
pub use crate::server::spawn::Running;
