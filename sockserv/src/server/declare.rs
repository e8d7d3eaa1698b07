//! What the attribute declares: the words of the transport as types, and the one trait that generated code fills in.

use std::marker::PhantomData;

use crate::address::Kind;
use crate::concurrency::Model;
use crate::handler::{Calls, DatagramHandler, Methods, StreamHandler};
use crate::hooks::HookTable;
use crate::listener::Listener;
use crate::options::Options;

/// A server's declaration: types and constants, written by `#[server(...)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not declared as a server",
    label = "has no `#[server(...)]`",
    note = "put `#[server(...)]` on the `impl` block of `{Self}` that has `fn handle`, or on the struct itself"
)]
pub trait Declaration: Clone + Sized {
    /// The transport's word, or the words of a pair.
    type Transport: Transport<Self>;
    /// The model's word.
    type Model: Model<Self> + Default;

    /// Returns what the attribute says, over the defaults.
    fn options() -> Options;

    /// Returns the handler's hooks.
    fn hooks() -> HookTable<Self>;
}

/// A word that says what requests come by, and what a handler needs for that.
pub trait Transport<H> {
    /// The kinds of socket to open, in this order; none for an own listener.
    const KINDS: &'static [Kind];

    /// Returns the handler's methods for the requests that come by it.
    fn methods() -> Methods<H>;

    /// Makes the own listener, if it is one.
    fn listener() -> Option<Box<dyn Listener + Send>> {
        None
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $bound:ident, $kind:expr, $methods:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl<H: $bound> Transport<H> for $name {
            const KINDS: &'static [Kind] = &[$kind];

            fn methods() -> Methods<H> {
                $methods
            }
        }
    )*};
}
words! {
    /// The word `tcp`.
    Tcp: StreamHandler, Kind::Tcp, streams();
    /// The word `udp`.
    Udp: DatagramHandler, Kind::Udp, datagrams();
    /// The word `unix`.
    Unix: StreamHandler, Kind::Unix, streams();
    /// The word `unix_datagram`.
    UnixDatagram: DatagramHandler, Kind::UnixDatagram, datagrams();
}

fn streams<H: StreamHandler>() -> Methods<H> {
    Methods {
        stream: Some(Calls::streams()),
        datagram: None,
    }
}

fn datagrams<H: DatagramHandler>() -> Methods<H> {
    Methods {
        stream: None,
        datagram: Some(Calls::datagrams()),
    }
}

macro_rules! pairs {
    ($($stream:ident, $datagram:ident;)*) => {$(
        impl<H: StreamHandler + DatagramHandler> Transport<H> for ($stream, $datagram) {
            const KINDS: &'static [Kind] = &[Kind::$stream, Kind::$datagram];

            fn methods() -> Methods<H> {
                Methods { stream: Some(Calls::streams()), datagram: Some(Calls::datagrams()) }
            }
        }
    )*};
}
pairs! {
    Tcp, Udp;
    Tcp, UnixDatagram;
    Unix, Udp;
}

/// `listener = L`: requests of the kinds `K` come from an own listener.
#[derive(Debug)]
pub struct Own<L, K>(PhantomData<fn() -> (L, K)>);

/// An own listener's requests are streams.
#[derive(Debug)]
pub enum Streams {}

/// An own listener's requests are packets.
#[derive(Debug)]
pub enum Datagrams {}

/// An own listener's requests are of both kinds.
#[derive(Debug)]
pub enum Both {}

macro_rules! own {
    ($($kinds:ident: $($bound:ident)+, $methods:expr;)*) => {$(
        impl<H: $($bound +)+, L: Listener + Send + Default> Transport<H> for Own<L, $kinds> {
            const KINDS: &'static [Kind] = &[];

            fn methods() -> Methods<H> {
                $methods
            }

            fn listener() -> Option<Box<dyn Listener + Send>> {
                Some(Box::new(L::default()))
            }
        }
    )*};
}
own! {
    Streams: StreamHandler, streams();
    Datagrams: DatagramHandler, datagrams();
    Both: StreamHandler DatagramHandler, Methods { stream: Some(Calls::streams()), datagram: Some(Calls::datagrams()) };
}

/// No handler has this: `bind` without `addr` in the attribute asks for it.
#[diagnostic::on_unimplemented(
    message = "this server has no address to bind",
    label = "`bind` needs `addr` in `#[server(...)]`",
    note = "write `addr = \"127.0.0.1:7007\"` in the attribute, or use `bind_to(\"127.0.0.1:7007\", handler)`"
)]
pub trait NoAddr {}
