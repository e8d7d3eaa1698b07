//! [`Under`]: somebody's handler, declared as he declared it, but under another model.

use std::fmt;
use std::marker::PhantomData;

use crate::address::{Address, Kind};
use crate::concurrency::{Model, Pool, Synchronous, Threading, UncheckedForking, UncheckedPrefork};
use crate::handler::{Calls, Methods};
use crate::hooks::HookTable;
use crate::listener::Incoming;
use crate::message::Talks;
use crate::options::Options;
use crate::request::{Datagram, Stream};
use crate::server::declare::{Declaration, Transport};

/// A word of the attribute, and the model that it means for a handler.
pub trait Word<H> {
    /// That model.
    type Model: Model<H> + Default;

    /// Whether it forks: then the test's process must have no other threads but the harness's own.
    const FORKS: bool = false;
}

impl<H> Word<H> for Synchronous {
    type Model = Self;
}

impl<H: Send + 'static> Word<H> for Threading {
    type Model = Self;
}

impl<H: Send + 'static> Word<H> for Pool<()> {
    type Model = Pool<H>;
}

impl<H> Word<H> for UncheckedForking {
    type Model = Self;

    const FORKS: bool = true;
}

impl<H> Word<H> for UncheckedPrefork {
    type Model = Self;

    const FORKS: bool = true;
}

/// A handler under the model of the word `M`.
pub struct Under<H, M> {
    handler: H,
    model: PhantomData<fn() -> M>,
}

impl<H, M> Under<H, M> {
    pub(super) fn new(handler: H) -> Self {
        Self {
            handler,
            model: PhantomData,
        }
    }
}

impl<H: Declaration, M: Word<Self>> Declaration for Under<H, M> {
    type Transport = Same;
    type Model = M::Model;

    fn options() -> Options {
        let mut options = H::options();
        (options.owner, options.group) = (None, None); // Who runs a test may give nothing away.
        options
    }

    fn hooks() -> HookTable<Self> {
        HookTable {
            verify_request: H::hooks()
                .verify_request
                .map(|_| verify_request::<H, M> as _),
            handle_error: |own, error, peer| {
                (H::hooks().handle_error)(&mut own.handler, error, peer)
            },
            handle_timeout: |own| (H::hooks().handle_timeout)(&own.handler),
            service_actions: |own| (H::hooks().service_actions)(&own.handler),
            server_bind: |own, socket| (H::hooks().server_bind)(&own.handler, socket),
            server_activate: |own, socket| (H::hooks().server_activate)(&own.handler, socket),
            worker_start: |own, worker| (H::hooks().worker_start)(&mut own.handler, worker),
        }
    }

    fn model() -> Option<M::Model> {
        Some(M::Model::default())
    }
}

fn verify_request<H: Declaration, M>(
    own: &Under<H, M>,
    peer: &Address,
    incoming: &Incoming,
) -> bool {
    let verify = H::hooks().verify_request;
    verify.is_none_or(|verify| verify(&own.handler, peer, incoming))
}

/// The transport of the handler's own declaration.
#[derive(Debug)]
pub enum Same {}

/// A handler's methods, found anew at each call: a function keeps no value.
macro_rules! forwarded {
    ($calls:ident, $talks:expr) => {
        Calls {
            setup: |own: &mut Under<H, M>, request| {
                ($calls::<H>().setup)(&mut own.handler, request)
            },
            handle: |own: &mut Under<H, M>, request| {
                ($calls::<H>().handle)(&mut own.handler, request)
            },
            finish: |own: &mut Under<H, M>, request| {
                ($calls::<H>().finish)(&mut own.handler, request)
            },
            talks: $talks,
        }
    };
}

impl<H: Declaration, M> Transport<Under<H, M>> for Same {
    const KINDS: &'static [Kind] = <H::Transport as Transport<H>>::KINDS;

    fn methods() -> Methods<Under<H, M>> {
        let Methods { stream, datagram } = methods::<H>();
        let messages = |_| Talks {
            begin: |own: &Under<H, M>| (talks::<H>().begin)(&own.handler),
            advance: |talk, own, stream, thread| {
                (talks::<H>().advance)(talk, &mut own.handler, stream, thread)
            },
            send_last: |talk, stream, thread| (talks::<H>().send_last)(talk, stream, thread),
        };
        Methods {
            stream: stream.map(|calls| forwarded!(streams, calls.talks.map(messages))),
            datagram: datagram.map(|_| forwarded!(datagrams, None)),
        }
    }
}

fn talks<H: Declaration>() -> Talks<H> {
    streams::<H>().talks.expect("it handles messages")
}

fn methods<H: Declaration>() -> Methods<H> {
    <H::Transport as Transport<H>>::methods()
}

fn streams<H: Declaration>() -> Calls<H, Stream> {
    methods::<H>().stream.expect("it serves streams")
}

fn datagrams<H: Declaration>() -> Calls<H, Datagram> {
    methods::<H>().datagram.expect("it serves datagrams")
}

impl<H: Clone, M> Clone for Under<H, M> {
    fn clone(&self) -> Self {
        Self::new(self.handler.clone())
    }
}

impl<H, M> fmt::Debug for Under<H, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Under").finish_non_exhaustive()
    }
}
