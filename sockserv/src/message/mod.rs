//! Message handlers: called once for each message, with the runtime in control in between.
//!
//! A framing in the attribute ([`lines(...)`](crate::server#messages) and its kind, or `codec = MyCodec`) takes the place of
//! reading by hand. `fn message` takes the place of `handle`: it is called with each message, and answers through
//! [`Replies`]. Between two messages nothing of the connection is on any stack, so under `pool` it waits in a poll
//! set and holds no thread: 10,000 idle connections need no more threads than one.
//!
//! `setup`, `finish` and the hooks stay as they are, and so do deadlines, drain and limits: waiting for a message is one wait.
//! A connection is idle when everything that it has sent as whole messages was handled.
//!
//! What is wrong with the framing ends the connection with an error in phase `handle`, unless the codec skips it
//! (`on_overflow = "discard"`), or [`frame_error`](MessageHandler::frame_error) makes something else of it.
//!
//! On datagrams a packet is a message, framed by itself: see [`decode_packet`](crate::codec::Decoder::decode_packet).
//!
//! # Examples
//!
//! ```
//! use sockserv::prelude::*;
//!
//! #[derive(Clone)]
//! struct Shout;
//!
//! #[server(tcp, pool, addr = "127.0.0.1:0", lines(max = "1 KiB", ending = "\r\n"))]
//! impl Shout {
//!     fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
//!         if line == "quit" {
//!             replies.close();
//!             return Ok(());
//!         }
//!         replies.send(line.to_ascii_uppercase())
//!     }
//! }
//!
//! let server = ShoutServer::bind(Shout)?.spawn()?;
//! let mut client = server.connect()?;
//! client.write_all(b"one\r\ntwo\r\nquit\r\n")?;
//! let mut text = String::new();
//! client.read_to_string(&mut text)?;
//! assert_eq!(text, "ONE\r\nTWO\r\n");
//! # Ok::<(), io::Error>(())
//! ```

mod replies;
mod talk;

use std::error::Error;
use std::io;

use bytes::BytesMut;

use crate::codec::{Decoder, Encoder, FrameError};
use crate::error::Outcome;
use crate::request::{Datagram, Stream};

pub use replies::Replies;
use talk::Talk;
#[doc(hidden)]
pub use talk::Talks;
pub(crate) use talk::{AnyTalk, Progress, Thread};

/// A handler that is called once for each message. A framing in the attribute, and `fn message`, write it.
///
/// # Examples
///
/// Commands on a second transport: a handler around the first.
///
/// ```
/// use sockserv::message::MessageHandler;
/// use sockserv::prelude::*;
///
/// #[derive(Clone, Default)]
/// struct Sum(u64);
///
/// #[server(tcp, pool, lines)]
/// impl Sum {
///     #[command("ADD")]
///     fn add(&mut self, number: u64) -> u64 {
///         self.0 += number;
///         self.0
///     }
/// }
///
/// #[derive(Clone, Default)]
/// struct Local(Sum);
///
/// #[server(unix, pool, lines, addr = "/run/sum.sock")]
/// impl Local {
///     fn message(&mut self, line: Bytes, replies: &mut Replies) -> Outcome {
///         MessageHandler::message(&mut self.0, line, replies)
///     }
/// }
///
/// let record = sockserv::testing::stream(Local::default()).sends("ADD 40\nADD 2\n").eof().run();
/// assert_eq!(record.text(), "40\n42\n");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` handles no messages",
    label = "has no `fn message`",
    note = "name a framing in `#[server(...)]` on the `impl` block of `{Self}`, and write `fn message(&mut self, message: Bytes, replies: &mut Replies) -> io::Result<()>`"
)]
pub trait MessageHandler {
    /// Where one message ends and the next begins.
    type Codec: Decoder<Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;
    /// What replies are framed by: the codec itself, or any framing of bytes.
    type Framing: ?Sized;

    /// Returns a codec for one connection, or for one packet.
    fn codec(&self) -> Self::Codec;

    /// Returns the codec as what replies are framed by.
    fn framing(codec: &mut Self::Codec) -> &mut Self::Framing;

    /// Handles one message.
    ///
    /// # Errors
    ///
    /// Whatever the handler wants reported, in phase `handle`; it ends the connection.
    fn message(
        &mut self,
        message: <Self::Codec as Decoder>::Item,
        replies: &mut Replies<'_, Self::Framing>,
    ) -> Outcome;

    /// Handles what is no message: by default it ends the connection.
    ///
    /// # Errors
    ///
    /// As [`message`](Self::message). After `Ok` decoding goes on behind what was wrong, as the codec says.
    fn frame_error(
        &mut self,
        error: <Self::Codec as Decoder>::Error,
        replies: &mut Replies<'_, Self::Framing>,
    ) -> Outcome {
        let _ = replies;
        Err(error.into())
    }
}

/// Any framing of bytes: what the replies of `lines(...)` and its kind are framed by.
pub trait Frames {
    /// Appends the bytes with their framing to `dst`.
    ///
    /// # Errors
    ///
    /// If the framing cannot hold them; `dst` is as it was then.
    fn frame(&mut self, bytes: &[u8], dst: &mut BytesMut) -> Result<(), FrameError>;

    /// Appends the bytes as a packet of their own to `dst`.
    ///
    /// # Errors
    ///
    /// Likewise.
    fn frame_packet(&mut self, bytes: &[u8], dst: &mut BytesMut) -> Result<(), FrameError>;
}

impl<C: for<'a> Encoder<&'a [u8], Error = FrameError>> Frames for C {
    fn frame(&mut self, bytes: &[u8], dst: &mut BytesMut) -> Result<(), FrameError> {
        self.encode(bytes, dst)
    }

    fn frame_packet(&mut self, bytes: &[u8], dst: &mut BytesMut) -> Result<(), FrameError> {
        self.encode_packet(bytes, dst)
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for dyn Frames {
    type Error = FrameError;

    fn encode(&mut self, item: T, dst: &mut BytesMut) -> Result<(), FrameError> {
        self.frame(item.as_ref(), dst)
    }

    fn encode_packet(&mut self, item: T, dst: &mut BytesMut) -> Result<(), FrameError> {
        self.frame_packet(item.as_ref(), dst)
    }
}

/// Handles the messages of a connection where each may wait for the next: what `handle` is under every model but `pool`.
///
/// # Errors
///
/// The first that a message ended with; what is wrong with the bytes; what the transport says.
#[doc(hidden)]
pub fn serve_messages<H: MessageHandler>(handler: &mut H, stream: &mut Stream) -> Outcome {
    Talk::new(handler.codec()).run(handler, stream)
}

/// Handles the one message of a packet.
///
/// # Errors
///
/// Likewise.
#[doc(hidden)]
pub fn serve_packet<H: MessageHandler>(handler: &mut H, datagram: &mut Datagram) -> Outcome {
    let mut codec = handler.codec();
    let result = match datagram.is_truncated() {
        false => codec.decode_packet(datagram.packet().clone()),
        true => {
            let max = datagram.packet().len();
            Err(io::Error::from(FrameError::TooLong { max }).into())
        }
    };
    let mut closes = false;
    let mut replies = Replies::of_packet(datagram, H::framing(&mut codec), &mut closes);
    match result {
        Ok(Some(message)) => handler.message(message, &mut replies),
        Ok(None) => Ok(()),
        Err(error) => handler.frame_error(error, &mut replies),
    }
}
