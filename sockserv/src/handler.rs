//! What a user writes: [`StreamHandler`] or [`DatagramHandler`], and what the results of their methods mean.

use crate::error::Outcome;
use crate::message::Talks;
use crate::request::{Datagram, Stream};

macro_rules! handlers {
    ($($(#[$doc:meta])* $name:ident, $request:ty, $argument:ident, { $($more:tt)* };)*) => {$(
        $(#[$doc])*
        pub trait $name {
            /// Runs first. After an error or a panic here neither `handle` nor `finish` runs.
            ///
            /// # Errors
            ///
            /// Whatever the handler wants reported to [`handle_error`](crate::Hooks::handle_error), in phase `setup`.
            fn setup(&mut self, $argument: &mut $request) -> Outcome {
                let _ = $argument;
                Ok(())
            }

            /// Does the request.
            ///
            /// # Errors
            ///
            /// Whatever the handler wants reported, in phase `handle`.
            fn handle(&mut self, $argument: &mut $request) -> Outcome;

            /// Runs whenever `setup` succeeded: also after an error, a panic or a cut in `handle`.
            ///
            /// # Errors
            ///
            /// Whatever the handler wants reported, in phase `finish`, unless `handle` failed before.
            fn finish(&mut self, $argument: &mut $request) -> Outcome {
                let _ = $argument;
                Ok(())
            }

            $($more)*
        }
    )*};
}
handlers! {
    /// Serves connections: one value, a clone of the server's prototype, for each.
    ///
    /// `#[server(...)]` on an `impl` block writes this trait; write it by hand beside the attribute on a struct.
    ///
    /// # Examples
    ///
    /// ```
    /// use sockserv::prelude::*;
    ///
    /// #[server(tcp, threading, addr = "127.0.0.1:0")]
    /// #[derive(Clone)]
    /// struct Hello;
    ///
    /// impl StreamHandler for Hello {
    ///     fn handle(&mut self, stream: &mut Stream) -> Outcome {
    ///         stream.wfile.write_all(b"hello\n")?;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let mut text = String::new();
    /// HelloServer::bind(Hello)?.spawn()?.connect()?.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello\n");
    /// # Ok::<(), io::Error>(())
    /// ```
    #[diagnostic::on_unimplemented(
        message = "`{Self}` does not handle streams",
        label = "this transport hands out streams",
        note = "put `#[server(...)]` on the `impl` block of `{Self}` with `fn handle(&mut self, stream: &mut Stream)`, or write `impl StreamHandler for {Self}`"
    )]
    StreamHandler, Stream, stream, {
        /// How `handle` goes on from message to message, if it can stop between two of them.
        #[doc(hidden)]
        fn talks() -> Option<Talks<Self>>
        where
            Self: Sized,
        {
            None
        }
    };

    /// Serves packets: one value, a clone of the server's prototype, for each.
    ///
    /// `#[server(...)]` on an `impl` block writes this trait; write it by hand beside the attribute on a struct. See
    /// [`StreamHandler`] for an example.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` does not handle datagrams",
        label = "this transport hands out datagrams",
        note = "put `#[server(...)]` on the `impl` block of `{Self}` with `fn handle(&mut self, datagram: &mut Datagram)`, or write `impl DatagramHandler for {Self}`"
    )]
    DatagramHandler, Datagram, datagram, {};
}

/// The three methods of a handler for one kind of request, as the runtime calls them: one life cycle serves both kinds.
pub(crate) struct Calls<H, R> {
    pub(crate) setup: fn(&mut H, &mut R) -> Outcome,
    pub(crate) handle: fn(&mut H, &mut R) -> Outcome,
    pub(crate) finish: fn(&mut H, &mut R) -> Outcome,
    /// What may take the place of `handle` where a thread is lent for a message only.
    pub(crate) talks: Option<Talks<H>>,
}

impl<H: StreamHandler> Calls<H, Stream> {
    pub(crate) fn streams() -> Self {
        Self {
            setup: H::setup,
            handle: H::handle,
            finish: H::finish,
            talks: H::talks(),
        }
    }
}

impl<H: DatagramHandler> Calls<H, Datagram> {
    pub(crate) fn datagrams() -> Self {
        Self {
            setup: H::setup,
            handle: H::handle,
            finish: H::finish,
            talks: None,
        }
    }
}

/// A handler's methods for the kinds of request that it serves.
pub struct Methods<H> {
    pub(crate) stream: Option<Calls<H, Stream>>,
    pub(crate) datagram: Option<Calls<H, Datagram>>,
}

// By hand: a derive would ask for `H: Copy`, and only functions are copied.
impl<H, R> Clone for Calls<H, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H, R> Copy for Calls<H, R> {}

impl<H> Clone for Methods<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Methods<H> {}

impl<H> std::fmt::Debug for Methods<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Methods")
            .field("stream", &self.stream.is_some())
            .field("datagram", &self.datagram.is_some())
            .finish()
    }
}
