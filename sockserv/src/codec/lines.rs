//! [`Lines`].

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr;

use crate::codec::search::{Mark, Search};
use crate::codec::{Decoder, Encoder, FrameError, Overflow};

/// Lines of at most `max` bytes; the line end is neither counted nor part of the frame.
///
/// Without being told otherwise they end with `\n`, and one that is too long is an error. What stands behind the last line
/// end when the stream ends is [`FrameError::Truncated`]: half a command must not be obeyed.
///
/// Encoding refuses a line that is longer than `max`, that has a `\n` inside, or whose last byte would become part of its
/// line end.
///
/// # Examples
///
/// ```
/// use sockserv::bytes::BytesMut;
/// use sockserv::codec::{Decoder, Ending, FrameError, Lines, Overflow};
///
/// const LINES: Lines = Lines::new(5).ending(Ending::Any).on_overflow(Overflow::Discard);
///
/// let mut lines = LINES;
/// let mut buffer = BytesMut::from("one\r\nmuch too long\ntwo\n");
/// assert_eq!(lines.decode(&mut buffer)?.unwrap(), "one");
/// assert_eq!(lines.decode(&mut buffer)?.unwrap(), "two");
/// # Ok::<(), FrameError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Lines {
    search: Search<Ending>,
}

/// What ends a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ending {
    /// `\n`; a `\r` before it belongs to the line.
    #[default]
    Lf,
    /// `\r\n`; either of them alone belongs to the line.
    CrLf,
    /// `\n` or `\r\n`; a lone `\r` belongs to the line. Lines are sent with `\n`.
    Any,
}

impl Lines {
    /// Lines of at most `max` bytes.
    pub const fn new(max: usize) -> Self {
        Self {
            search: Search::new(Ending::Lf, max),
        }
    }

    /// What ends a line; `\n` if nothing is said.
    pub const fn ending(mut self, ending: Ending) -> Self {
        self.search.mark = ending;
        self
    }

    /// What becomes of a line that is too long; an error if nothing is said.
    pub const fn on_overflow(mut self, on_overflow: Overflow) -> Self {
        self.search.on_overflow = on_overflow;
        self
    }
}

impl Mark for Ending {
    fn find(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut from = from;
        loop {
            let at = from + memchr(b'\n', &bytes[from..])?;
            let after_return = at > 0 && bytes[at - 1] == b'\r';
            match (self, after_return) {
                (Self::CrLf, false) => from = at + 1,
                (Self::Lf, _) | (Self::Any, false) => return Some((at, at + 1)),
                (Self::CrLf | Self::Any, true) => return Some((at - 1, at + 1)),
            }
        }
    }

    fn begun(&self, bytes: &[u8]) -> usize {
        (*self != Self::Lf && bytes.last() == Some(&b'\r')).into()
    }
}

impl Decoder for Lines {
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

impl<T: AsRef<[u8]>> Encoder<T> for Lines {
    type Error = FrameError;

    fn encode(&mut self, line: T, dst: &mut BytesMut) -> Result<(), FrameError> {
        let (line, mark) = (line.as_ref(), self.search.mark);
        super::check_reply(line, self.search.max)?;
        if memchr(b'\n', line).is_some() {
            return Err(FrameError::Malformed("a line with a line end inside"));
        }
        if mark == Ending::Any && line.last() == Some(&b'\r') {
            return Err(FrameError::Malformed("a line with half a line end"));
        }
        let ending: &[u8] = match mark {
            Ending::Lf | Ending::Any => b"\n",
            Ending::CrLf => b"\r\n",
        };
        dst.reserve(line.len() + ending.len());
        dst.put_slice(line);
        dst.put_slice(ending);
        Ok(())
    }
}
