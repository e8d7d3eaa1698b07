//! Frames over bytes: where one message ends and the next begins. No sockets in here.
//!
//! A [`Decoder`] takes frames from the front of a buffer, an [`Encoder`] appends them to one: the two traits of tokio-util,
//! without its runtime. [`Stream::framed`](crate::Stream::framed) drives a codec over a stream.
//!
//! | codec | a frame is |
//! |---|---|
//! | [`Lines`] | what stands before `\n`, `\r\n` or either |
//! | [`Delimited`] | what stands before other bytes |
//! | [`LengthPrefixed`] | what stands behind its length |
//! | [`Fixed`] | so many bytes |
//! | [`RecordMarking`] | one or more fragments behind their lengths: RFC 5531 |
//!
//! With the feature `tokio-util`, `Bridge` makes those of [tokio-util](https://docs.rs/tokio-util) such codecs.
//!
//! All of them share these promises:
//!
//! - The frames do not depend on how the bytes were split into reads.
//! - A frame is a [`Bytes`] that shares the memory of the buffer: nothing is copied. It keeps all of that memory alive,
//!   so what is to be stored for long should be copied.
//! - `max` counts a frame's own bytes, without its framing, and bounds what is encoded, too. Nothing is allocated for a frame that is announced and has not
//!   come, and a frame that is too long is noticed as soon as its `max + 1`th byte is there, or its length; what follows is
//!   the codec's [`Overflow`]. A buffer never needs more room than one frame with its framing, and what one read brings.
//! - No byte is searched twice.
//! - A decoder belongs to one stream of bytes and to one buffer, to which others only append: it remembers how far it has
//!   seen. Clone the unused codec for each stream.
//!
//! # Examples
//!
//! ```
//! use sockserv::bytes::BytesMut;
//! use sockserv::codec::{Decoder, FrameError, Lines};
//!
//! let mut lines = Lines::new(80);
//! let mut buffer = BytesMut::from("one\ntw");
//! assert_eq!(lines.decode(&mut buffer)?.unwrap(), "one");
//! assert_eq!(lines.decode(&mut buffer)?, None); // Not yet.
//! buffer.extend_from_slice(b"o\n");
//! assert_eq!(lines.decode(&mut buffer)?.unwrap(), "two");
//! # Ok::<(), FrameError>(())
//! ```

#[cfg(feature = "tokio-util")]
mod bridge;
mod delimited;
mod error;
mod fixed;
mod length_prefixed;
mod lines;
mod record_marking;
mod search;
mod skip;

use std::io;

use bytes::BytesMut;

#[cfg(feature = "tokio-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio-util")))]
pub use bridge::Bridge;
pub use bytes::Bytes;
pub use delimited::Delimited;
pub use error::FrameError;
pub use fixed::Fixed;
pub use length_prefixed::{LengthPrefixed, Width};
pub use lines::{Ending, Lines};
pub use record_marking::RecordMarking;

/// Takes messages from the front of a buffer.
///
/// # Examples
///
/// Three digits, as a number:
///
/// ```
/// use sockserv::bytes::BytesMut;
/// use sockserv::codec::{Decoder, FrameError};
///
/// struct Digits;
///
/// impl Decoder for Digits {
///     type Item = u16;
///     type Error = FrameError;
///
///     fn decode(&mut self, src: &mut BytesMut) -> Result<Option<u16>, FrameError> {
///         if src.len() < 3 {
///             return Ok(None);
///         }
///         let digits = src.split_to(3);
///         let number = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok());
///         number.map(Some).ok_or(FrameError::Malformed("three digits"))
///     }
/// }
///
/// let mut buffer = BytesMut::from("007x42");
/// assert_eq!(Digits.decode(&mut buffer)?, Some(7));
/// assert!(Digits.decode(&mut buffer).is_err());
/// assert_eq!(Digits.decode(&mut buffer)?, None);
/// # Ok::<(), FrameError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no codec",
    label = "cannot take messages out of bytes",
    note = "write `impl sockserv::codec::Decoder for ...` for a type of your own, or name a framing such as `lines` instead",
    note = "a codec of tokio-util fits as `sockserv::codec::Bridge<...>`, with the feature `tokio-util`"
)]
pub trait Decoder {
    /// A message.
    type Item;
    /// What can be wrong with the bytes.
    type Error: From<io::Error>;

    /// Takes the next message from the front of `src`, or nothing if it is not yet there as a whole.
    ///
    /// Whoever calls it appends what comes next to the same `src`.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes. Going on after an error must be harmless: the decoder says in its documentation what
    /// it skips, or says [`has_ended`](Self::has_ended).
    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Self::Error>;

    /// As [`decode`](Self::decode), when no more bytes will come. Called until it returns nothing.
    ///
    /// # Errors
    ///
    /// As `decode`. Unless the decoder says otherwise, a message that is there by half is [`FrameError::Truncated`], once.
    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Self::Error> {
        let item = self.decode(src)?;
        if item.is_none() && !src.is_empty() {
            src.clear();
            return Err(io::Error::from(FrameError::Truncated).into());
        }
        Ok(item)
    }

    /// Returns whether there will be no more messages, whatever comes: then nobody need read on.
    fn has_ended(&self) -> bool {
        false
    }

    /// Takes the one message of a packet, which is framed by itself; nothing if the packet holds none.
    ///
    /// The codecs of this module take the whole packet, but for [`Lines`] and [`Delimited`], which leave out an ending that
    /// stands behind it.
    ///
    /// # Errors
    ///
    /// What is wrong with the packet. Unless the decoder says otherwise, the packet is decoded as a stream would be, and
    /// bytes behind the message are [`FrameError::Malformed`].
    fn decode_packet(&mut self, packet: Bytes) -> Result<Option<Self::Item>, Self::Error> {
        let mut src = BytesMut::from(packet);
        let item = match self.decode(&mut src)? {
            None => self.decode_eof(&mut src)?,
            item => item,
        };
        if item.is_some() && !src.is_empty() {
            let error = FrameError::Malformed("one message in a packet");
            return Err(io::Error::from(error).into());
        }
        Ok(item)
    }
}

/// Appends messages to a buffer.
///
/// # Examples
///
/// ```
/// use sockserv::bytes::BytesMut;
/// use sockserv::codec::{Encoder, FrameError, Lines};
///
/// let mut buffer = BytesMut::new();
/// Lines::new(80).encode("a line", &mut buffer)?;
/// assert_eq!(buffer, "a line\n");
/// assert!(Lines::new(80).encode("two\nlines", &mut buffer).is_err());
/// # Ok::<(), FrameError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not encode `{Item}`",
    label = "cannot be sent",
    note = "send what it encodes, or write `impl sockserv::codec::Encoder<{Item}> for {Self}`"
)]
pub trait Encoder<Item> {
    /// Why a message cannot be framed.
    type Error: From<io::Error>;

    /// Appends the message with its framing to `dst`.
    ///
    /// # Errors
    ///
    /// If the framing cannot hold this message; `dst` is as it was then.
    fn encode(&mut self, item: Item, dst: &mut BytesMut) -> Result<(), Self::Error>;

    /// Appends the message to `dst`, which becomes a packet. Without being told otherwise it is framed as on a stream; those
    /// codecs of this module whose framing is a length leave that out.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    fn encode_packet(&mut self, item: Item, dst: &mut BytesMut) -> Result<(), Self::Error> {
        self.encode(item, dst)
    }
}

/// What a decoder does about a frame that is longer than its `max`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// One [`FrameError::TooLong`]; decoding goes on behind the frame, whose bytes are skipped as they come.
    #[default]
    Error,
    /// The frame is skipped as if it had not come.
    Discard,
    /// One [`FrameError::TooLong`], and nothing more is decoded: the decoder has ended.
    Close,
}

/// What a frame of a packet may be: all of it, if that is not too long.
fn packet(frame: Bytes, max: usize, on_overflow: Overflow) -> Result<Option<Bytes>, FrameError> {
    match on_overflow {
        _ if frame.len() <= max => Ok(Some(frame)),
        Overflow::Discard => Ok(None),
        Overflow::Error | Overflow::Close => Err(FrameError::TooLong { max }),
    }
}

/// Whether a frame may be sent.
fn check_reply(frame: &[u8], max: usize) -> Result<(), FrameError> {
    let length = frame.len();
    match length <= max {
        true => Ok(()),
        false => Err(FrameError::ReplyTooLong { length, max }),
    }
}

#[cfg(test)]
mod tests;
