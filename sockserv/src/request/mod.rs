//! What a handler is given: a [`Stream`] or a [`Datagram`], or either of them as a [`Request`].

mod conversation;
pub(crate) mod datagram;
mod descriptors;
pub(crate) mod elsewhere;
mod framed;
mod hang_up;
pub(crate) mod link;
mod rate;
pub(crate) mod rfile;
pub(crate) mod sender;
pub(crate) mod stream;
mod wait;
pub(crate) mod wfile;

use std::io::{self, BufRead, Write};

pub use conversation::Conversation;
pub use datagram::{Datagram, PacketReader, PacketWriter};
pub(crate) use framed::Received;
pub use framed::{Framed, FramedReader, FramedWriter};
pub(crate) use link::Span;
pub(crate) use rate::Pace;
pub use rfile::{Reader, Rfile};
pub use sender::{SendError, Sender};
pub use stream::{Busy, Stream};
pub use wfile::{Wfile, Writer};

use crate::address::Address;
use crate::error::Seen;
use crate::request::elsewhere::Elsewhere;
use crate::requests::{ServerHandle, Ticket};

/// Keeps buffers ready on this thread.
pub(crate) fn warm(rbufsize: usize) {
    rfile::warm(rbufsize);
    datagram::warm();
}

/// A request of either kind, for a handler that serves both: F70.
///
/// # Examples
///
/// ```
/// use sockserv::prelude::*;
///
/// #[derive(Clone)]
/// struct Length;
///
/// #[server(tcp, udp, threading, addr = "127.0.0.1:0")]
/// impl Length {
///     fn handle<R: Request>(&mut self, request: &mut R) -> io::Result<()> {
///         let mut text = String::new();
///         let (rfile, wfile) = request.files();
///         rfile.read_line(&mut text)?;
///         writeln!(wfile, "{}", text.trim_end().len())
///     }
/// }
///
/// let server = LengthServer::bind(Length)?;
/// assert_eq!(server.local_addrs()[0].port(), server.local_addrs()[1].port());
/// # Ok::<(), io::Error>(())
/// ```
pub trait Request {
    /// The type of [`rfile`](Self::rfile).
    type Rfile: BufRead;
    /// The type of [`wfile`](Self::wfile).
    type Wfile: Write;

    /// Returns what the peer sent.
    fn rfile(&mut self) -> &mut Self::Rfile;

    /// Returns what goes to the peer.
    fn wfile(&mut self) -> &mut Self::Wfile;

    /// Returns both at once.
    fn files(&mut self) -> (&mut Self::Rfile, &mut Self::Wfile);

    /// Returns the address of the other end.
    fn peer_addr(&self) -> &Address;

    /// Returns the address that the request came to.
    fn local_addr(&self) -> &Address;

    /// Returns the server that the request came to.
    fn server(&self) -> &ServerHandle;
}

macro_rules! requests {
    ($($ty:ty, $rfile:ty, $wfile:ty;)*) => {$(
        impl Request for $ty {
            type Rfile = $rfile;
            type Wfile = $wfile;

            fn rfile(&mut self) -> &mut $rfile {
                &mut self.rfile
            }

            fn wfile(&mut self) -> &mut $wfile {
                &mut self.wfile
            }

            fn files(&mut self) -> (&mut $rfile, &mut $wfile) {
                (&mut self.rfile, &mut self.wfile)
            }

            fn peer_addr(&self) -> &Address {
                <$ty>::peer_addr(self)
            }

            fn local_addr(&self) -> &Address {
                <$ty>::local_addr(self)
            }

            fn server(&self) -> &ServerHandle {
                <$ty>::server(self)
            }
        }
    )*};
}
requests! {
    Stream, Rfile, Wfile;
    Datagram, PacketReader, PacketWriter;
}

/// What the life cycle needs of either kind of request.
pub(crate) trait Live {
    /// Whether what was written is sent although the handler failed: a stream's bytes, but no half packet.
    const REPLIES_AFTER_FAILURE: bool;

    fn ticket(&self) -> &Ticket;
    fn peer(&self) -> &Address;
    /// What went wrong on the request itself, whatever the handler made of it.
    fn seen(&self) -> Seen;
    /// Sends what `handle` wrote, if it can be sent by halves.
    fn flush(&mut self) -> io::Result<()>;
    /// Sends what is left to be sent at the end.
    fn reply(&mut self) -> io::Result<()>;
    /// Who has the rest of it, if it was handed over.
    fn elsewhere(&mut self) -> Option<Elsewhere>;
    /// Ends it. What is left of it is dropped by whoever made it.
    fn close(&self);
}

impl Live for Stream {
    const REPLIES_AFTER_FAILURE: bool = true;

    fn ticket(&self) -> &Ticket {
        self.link()
    }

    fn peer(&self) -> &Address {
        self.peer_addr()
    }

    fn seen(&self) -> Seen {
        self.link().seen()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wfile.flush()
    }

    fn reply(&mut self) -> io::Result<()> {
        self.wfile.flush()?;
        self.link().flush_senders()
    }

    fn elsewhere(&mut self) -> Option<Elsewhere> {
        self.elsewhere.take()
    }

    fn close(&self) {
        self.link().hang_up(self.rfile.input.unread());
    }
}

impl Live for Datagram {
    const REPLIES_AFTER_FAILURE: bool = false;

    fn ticket(&self) -> &Ticket {
        Self::ticket(self)
    }

    fn peer(&self) -> &Address {
        self.peer_addr()
    }

    fn seen(&self) -> Seen {
        Seen::default()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reply(&mut self) -> io::Result<()> {
        self.send_reply()
    }

    fn elsewhere(&mut self) -> Option<Elsewhere> {
        None
    }

    fn close(&self) {}
}
