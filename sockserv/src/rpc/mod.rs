//! Sun RPC (ONC RPC version 2, RFC 5531): procedures of an interface file, called over any transport. Feature `rpc`.
//!
//! `rpc = "calculator.x"` in the attribute reads an interface in the RPC language (RFC 5531, section 12; RFC 4506,
//! section 6) from the folder of the manifest. It becomes a module of the file's name, with the types, a trait a version of
//! a program, and the way in and out of the external representation ([`xdr`]). The procedures are methods, named in
//! `snake_case`; a missing one or a wrong type does not compile. On streams each record is a call (section 11), on
//! datagrams each packet.
//!
//! | in the file | in Rust |
//! |---|---|
//! | `int`, `unsigned int`, `hyper`, `unsigned hyper` | `i32`, `u32`, `i64`, `u64` |
//! | `float`, `double`, `bool`, `void` | `f32`, `f64`, `bool`, `()` |
//! | `string s<N>`, `opaque o<N>`, `opaque o[N]` | `String`, [`Bytes`](bytes::Bytes), `[u8; N]` |
//! | `T a<N>`, `T a[N]`, `T *o` | `Vec<T>`, `[T; N]`, `Option<T>` (boxed where it would contain itself) |
//! | `enum`, `struct`, `union` | an `enum`, a `struct`, an `enum` with a variant for each case |
//! | `const`, `typedef` | a `const`, a `type` |
//!
//! # What a procedure's method is given and gives
//!
//! Its arguments, by value or borrowed (`&Operands`, `&[i64]`, `&str`); then `call: &Call`, if it wants that: who calls ([`Credentials`], the peer's address).
//! It returns the result, or `Result<result, E>`. Any error is answered with `SYSTEM_ERR`, reported to
//! [`handle_error`](crate::Hooks::handle_error), and ends the connection; a [`Fault`] says something else. So is
//! a panic.
//!
//! The runtime itself answers the null procedure, and what is no procedure, version or program of the file. A name that
//! several versions have gets the version's number, as in C: `add_1`, `add_2`; a procedure with the name of a method of
//! every handler gets a `_`: `handle_`.
//!
//! # Examples
//!
//! With this file `src/rpc/ping.x`:
//!
//! ```text
#![doc = include_str!("ping.x")]
//! ```
//!
//! ```
//! use sockserv::prelude::*;
//! use sockserv::rpc::{Call, Credentials};
//!
//! #[derive(Clone)]
//! struct Ping;
//!
//! #[server(tcp, udp, threading, addr = "127.0.0.1:0", rpc = "src/rpc/ping.x")]
//! impl Ping {
//!     fn ping(&mut self, text: String, call: &Call) -> String {
//!         match call.credentials() {
//!             Credentials::Sys(sys) => format!("{text}, user {}", sys.uid),
//!             _ => text,
//!         }
//!     }
//! }
//!
//! let server = PingServer::bind(Ping)?.spawn()?;
//! let mut client = server.connect()?;
//! // One record: call 7, RPC 2, program 0x20000100, version 1, procedure 1, no credentials, "hi".
//! client.write_all(b"\x80\0\0\x30\0\0\0\x07\0\0\0\0\0\0\0\x02\x20\0\x01\0\0\0\0\x01\0\0\0\x01")?;
//! client.write_all(b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02hi\0\0")?;
//! let mut reply = [0; 36];
//! client.read_exact(&mut reply)?;
//! assert!(reply.ends_with(b"\0\0\0\x02hi\0\0"));
//! # Ok::<(), io::Error>(())
//! ```

//!
//! # Without an interface file
//!
//! `rpc(program = ..., version = ...)` in the attribute, and `#[procedure(1)]` on each method. Its parameters and its result
//! are types that implement [`Xdr`](xdr::Xdr); references are decoded as what they borrow (`&str`, `&[i64]`).
//!
//! ```
//! use sockserv::prelude::*;
//!
//! #[derive(Clone)]
//! struct Adder;
//!
//! #[server(tcp, udp, pool, addr = "127.0.0.1:0", rpc(program = 0x2000_0200, version = 1))]
//! impl Adder {
//!     #[procedure(1)]
//!     fn add(&mut self, numbers: &[i32]) -> i32 {
//!         numbers.iter().sum()
//!     }
//!
//!     #[procedure(2)]
//!     fn divide(&mut self, a: i32, b: i32) -> Result<i32, &'static str> {
//!         a.checked_div(b).ok_or("division by zero")
//!     }
//! }
//!
//! let server = AdderServer::bind(Adder)?.spawn()?;
//! let mut client = server.connect()?;
//! // One record: call 7, RPC 2, program 0x20000200, version 1, procedure 2, no credentials, 6 and 3.
//! client.write_all(b"\x80\0\0\x30\0\0\0\x07\0\0\0\0\0\0\0\x02\x20\0\x02\0\0\0\0\x01\0\0\0\x02")?;
//! client.write_all(b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x06\0\0\0\x03")?;
//! let mut reply = [0; 32];
//! client.read_exact(&mut reply)?;
//! assert!(reply.ends_with(b"\0\0\0\x02"));
//! # Ok::<(), io::Error>(())
//! ```

pub(crate) mod auth;
mod message;
pub(crate) mod rpcbind;
pub(crate) mod serve;
#[cfg(test)]
mod tests;
pub mod xdr;

use std::error::Error;

use crate::address::Address;

pub use auth::{AuthError, Credentials, Sys};
pub use rpcbind::Registration;

/// A handler whose methods are procedures. `rpc = "..."` in the attribute writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no procedures",
    label = "cannot be called",
    note = "write `rpc = \"interface.x\"` in `#[server(...)]` on the `impl` block of `{Self}`"
)]
pub trait Service {
    /// What can be called.
    const PROGRAMS: &'static [Program];

    /// Does one call of a program and a version in [`PROGRAMS`](Self::PROGRAMS), but never the null procedure.
    ///
    /// # Errors
    ///
    /// What the caller is told instead of the results.
    fn call(
        &mut self,
        call: &Call,
        arguments: &mut xdr::Input,
        results: &mut xdr::Output,
    ) -> Result<(), Fault>;
}

/// A program and its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program's number.
    pub number: u32,
    /// The numbers of its versions.
    pub versions: &'static [u32],
}

/// One call: what is known about it beside its arguments.
#[derive(Clone, Debug)]
pub struct Call {
    head: message::Head,
    peer: Address,
}

impl Call {
    fn new(head: message::Head, peer: &Address) -> Self {
        Self {
            head,
            peer: peer.clone(),
        }
    }

    /// Returns the number of the program.
    #[must_use]
    pub fn program(&self) -> u32 {
        self.head.program
    }

    /// Returns the number of the program's version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.head.version
    }

    /// Returns the number of the procedure.
    #[must_use]
    pub fn procedure(&self) -> u32 {
        self.head.procedure
    }

    /// Returns the caller's number for this call. A call that is sent again has the same.
    #[must_use]
    pub fn xid(&self) -> u32 {
        self.head.xid
    }

    /// Returns who the caller says it is.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.head.credentials
    }

    /// Returns where the call came from.
    #[must_use]
    pub fn peer_addr(&self) -> &Address {
        &self.peer
    }
}

/// What a caller is told instead of results.
///
/// Any error converts into [`Failed`](Self::Failed), so a method may return `Result<T, Fault>` and use `?`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The version has no such procedure.
    ProcUnavail,
    /// The arguments make no sense.
    GarbageArgs,
    /// The caller may not do this.
    Auth(AuthError),
    /// Something is wrong here that is not worth a report.
    SystemErr,
    /// The same for the caller; the error is reported, and the connection ends.
    Failed(Box<dyn Error + Send + Sync>),
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What a procedure's method may return: the result, or a `Result` with an error that converts into a [`Fault`].
#[diagnostic::on_unimplemented(
    message = "the procedure returns `{T}`, not `{Self}`",
    label = "expected `{T}`, or a `Result<{T}, E>`",
    note = "the interface file says what a procedure returns"
)]
pub trait IntoResults<T> {
    /// Converts it.
    ///
    /// # Errors
    ///
    /// The method's own.
    fn into_results(self) -> Result<T, Fault>;
}

impl<T: xdr::Xdr> IntoResults<T> for T {
    fn into_results(self) -> Result<T, Fault> {
        Ok(self)
    }
}

impl<T: xdr::Xdr, E: Into<Fault>> IntoResults<T> for Result<T, E> {
    fn into_results(self) -> Result<T, Fault> {
        self.map_err(Into::into)
    }
}
