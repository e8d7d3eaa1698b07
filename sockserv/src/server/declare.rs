//! What the attribute declares: the words of the transport as types, and the one trait that generated code fills in.

use std::fmt;
use std::marker::PhantomData;

use crate::address::Kind;
use crate::concurrency::Model;
use crate::handler::{Calls, DatagramHandler, Methods, StreamHandler};
use crate::hooks::HookTable;
use crate::listener::Listener;
use crate::listener::intake::{Foreign, Intake};
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
    type Model: Model<Self>;

    /// Returns what the attribute says, over the defaults.
    fn options() -> Options;

    /// Returns the handler's hooks.
    fn hooks() -> HookTable<Self>;

    /// Makes the model, if its type has a default.
    fn model() -> Option<Self::Model>;

    /// Returns the attribute's own words.
    #[cfg(feature = "cli")]
    #[doc(hidden)]
    fn attribute() -> Attribute {
        Attribute::default()
    }

    /// Makes the own listener, if there is one and its type has a default.
    fn listener() -> Option<OwnListener> {
        None
    }
}

/// What an operator sees of the attribute.
#[cfg(feature = "cli")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Attribute {
    /// The server's name, without `Server`.
    pub name: &'static str,
    /// Its package's version.
    pub version: &'static str,
    /// The model's word; nothing for an own one.
    pub model: &'static str,
    /// Which options fit the transport and the model, if that is known.
    pub fits: Option<&'static [&'static str]>,
    /// Which options are written.
    pub written: &'static [&'static str],
}

/// An own listener, without its type.
pub struct OwnListener(pub(crate) Box<dyn Intake + Send>);

impl OwnListener {
    /// Boxes it.
    pub fn of(listener: Option<impl Listener + Send>) -> Option<Self> {
        listener.map(|listener| Self(Box::new(Foreign::new(listener))))
    }
}

impl fmt::Debug for OwnListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnListener")
            .field(&self.0.local_addr())
            .finish()
    }
}

/// Finds out whether a type has a default: the method of this type itself, which needs that, wins over the trait's.
#[derive(Debug)]
pub struct DefaultProbe<T>(PhantomData<fn() -> T>);

impl<T> DefaultProbe<T> {
    /// Makes one.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "generated code alone makes it")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Default> DefaultProbe<T> {
    /// Returns the type's default.
    #[must_use]
    pub fn make(&self) -> Option<T> {
        Some(T::default())
    }
}

/// The default of a type that has none.
pub trait NoDefault<T> {
    /// Returns nothing.
    fn make(&self) -> Option<T>;
}

impl<T> NoDefault<T> for DefaultProbe<T> {
    fn make(&self) -> Option<T> {
        None
    }
}

/// A word that says what requests come by, and what a handler needs for that.
pub trait Transport<H> {
    /// The kinds of socket to open, in this order; none for an own listener.
    const KINDS: &'static [Kind];

    /// Returns the handler's methods for the requests that come by it.
    fn methods() -> Methods<H>;
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
        impl<H: $($bound +)+, L: Listener + Send> Transport<H> for Own<L, $kinds> {
            const KINDS: &'static [Kind] = &[];

            fn methods() -> Methods<H> {
                $methods
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

/// No model has this: `spawn` under one that forks asks for it.
#[diagnostic::on_unimplemented(
    message = "a server under `{Self}` cannot be spawned",
    label = "`spawn` starts a thread, and `{Self}` does not fork beside one",
    note = "call `run`, or promise that the other threads do no harm: `unsafe(forking)`, `unsafe(prefork)`"
)]
pub trait Spawnable {}
