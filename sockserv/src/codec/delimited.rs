//! [`Delimited`].

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;

use crate::codec::search::{Mark, Search};
use crate::codec::{Decoder, Encoder, FrameError, Overflow};

/// Frames of at most `max` bytes, each followed by the same bytes, which are neither counted nor part of the frame.
///
/// One that is too long is an error, if nothing else is said. What stands behind the last delimiter when the stream ends is
/// [`FrameError::Truncated`].
///
/// Encoding refuses a frame that is longer than `max`, that has the delimiter inside, or whose end would form an earlier one
/// together with the delimiter.
///
/// # Examples
///
/// ```
/// use sockserv::bytes::BytesMut;
/// use sockserv::codec::{Decoder, Delimited, FrameError};
///
/// let mut names = Delimited::new(b"\0", 255);
/// let mut buffer = BytesMut::from("etc\0passwd\0");
/// assert_eq!(names.decode(&mut buffer)?.unwrap(), "etc");
/// assert_eq!(names.decode(&mut buffer)?.unwrap(), "passwd");
/// # Ok::<(), FrameError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Delimited {
    search: Search<Bytes>,
}

impl Delimited {
    /// Frames of at most `max` bytes before each `delimiter`.
    ///
    /// # Panics
    ///
    /// Panics if the delimiter is empty; in a constant, that is a compile error.
    pub const fn new(delimiter: &'static [u8], max: usize) -> Self {
        assert!(!delimiter.is_empty(), "a delimiter has at least one byte");
        Self {
            search: Search::new(Bytes::from_static(delimiter), max),
        }
    }

    /// As [`new`](Self::new), with a delimiter that is known only when the program runs.
    ///
    /// # Panics
    ///
    /// Panics if the delimiter is empty.
    pub fn by(delimiter: impl Into<Bytes>, max: usize) -> Self {
        let delimiter = delimiter.into();
        assert!(!delimiter.is_empty(), "a delimiter has at least one byte");
        Self {
            search: Search::new(delimiter, max),
        }
    }

    /// What becomes of a frame that is too long; an error if nothing is said.
    pub const fn on_overflow(mut self, on_overflow: Overflow) -> Self {
        self.search.on_overflow = on_overflow;
        self
    }
}

impl Mark for Bytes {
    fn find(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        let at = from + memmem::find(&bytes[from..], self)?;
        Some((at, at + self.len()))
    }

    fn begun(&self, bytes: &[u8]) -> usize {
        let begun = (1..self.len())
            .rev()
            .find(|&count| bytes.ends_with(&self[..count]));
        begun.unwrap_or(0)
    }
}

impl Decoder for Delimited {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        self.search.next(src)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        self.search.last(src)
    }

    fn has_ended(&self) -> bool {
        self.search.has_ended()
    }

    fn decode_packet(&mut self, packet: Bytes) -> Result<Option<Bytes>, FrameError> {
        self.search.packet(packet)
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for Delimited {
    type Error = FrameError;

    fn encode(&mut self, frame: T, dst: &mut BytesMut) -> Result<(), FrameError> {
        let (frame, delimiter) = (frame.as_ref(), &self.search.mark);
        super::check_reply(frame, self.search.max)?;
        let before = dst.len();
        dst.reserve(frame.len() + delimiter.len());
        dst.put_slice(frame);
        dst.put_slice(delimiter);
        if memmem::find(&dst[before..], delimiter) != Some(frame.len()) {
            dst.truncate(before);
            return Err(FrameError::Malformed("a frame with the delimiter inside"));
        }
        Ok(())
    }
}
