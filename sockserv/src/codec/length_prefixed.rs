//! [`LengthPrefixed`].

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::codec::skip::Skip;
use crate::codec::{Decoder, Encoder, FrameError, Overflow};

/// Frames of at most `max` bytes, each behind its length.
///
/// A length that is more than `max` allocates nothing; it is an error, if nothing else is said, and as many bytes are
/// skipped. A length that cannot be one ends the decoding, because nobody knows where the next frame begins: a
/// [`Width::Varint`] beyond its limits, or one that [includes itself](Self::includes_itself) and is less than that.
///
/// # Examples
///
/// ```
/// use sockserv::bytes::BytesMut;
/// use sockserv::codec::{Decoder, Encoder, FrameError, LengthPrefixed, Width};
///
/// const FRAMES: LengthPrefixed = LengthPrefixed::new(Width::U16Be, 1024);
///
/// let mut frames = FRAMES;
/// let mut buffer = BytesMut::new();
/// frames.encode("hello", &mut buffer)?;
/// assert_eq!(&buffer[..], b"\0\x05hello");
/// assert_eq!(frames.decode(&mut buffer)?.unwrap(), "hello");
/// # Ok::<(), FrameError>(())
/// ```
///
/// A `max` that the length cannot say is a compile error in a constant:
///
/// ```compile_fail
/// use sockserv::codec::{LengthPrefixed, Width};
///
/// const FRAMES: LengthPrefixed = LengthPrefixed::new(Width::U8, 256);
/// # println!("{FRAMES:?}");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct LengthPrefixed {
    width: Width,
    max: usize,
    includes_itself: bool,
    on_overflow: Overflow,
    /// The frame whose length is known: how long the length is, and the frame.
    announced: Option<(usize, usize)>,
    skip: Skip,
}

/// How a length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// One byte.
    U8,
    /// Two bytes, the more significant one first.
    U16Be,
    /// Two bytes, the less significant one first.
    U16Le,
    /// Four bytes, the most significant one first.
    U32Be,
    /// Four bytes, the least significant one first.
    U32Le,
    /// Unsigned LEB128, as in Protocol Buffers, WebAssembly and DWARF: seven bits a byte, the least significant ones first,
    /// the high bit set in all bytes but the last. At most ten bytes and 2⁶⁴ - 1. Only the shortest form is taken: a last
    /// byte of zero behind others is malformed.
    Varint,
}

impl Width {
    /// The greatest length that can be written.
    const fn limit(self) -> u64 {
        match self {
            Self::U8 => 0xff,
            Self::U16Be | Self::U16Le => 0xffff,
            Self::U32Be | Self::U32Le => 0xffff_ffff,
            Self::Varint => u64::MAX,
        }
    }

    /// How many bytes this length takes.
    const fn of(self, length: u64) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16Be | Self::U16Le => 2,
            Self::U32Be | Self::U32Le => 4,
            Self::Varint => (64 - (length | 1).leading_zeros()).div_ceil(7) as usize,
        }
    }

    /// Reads a length and how many bytes it took, if it is there as a whole.
    pub(crate) fn read(self, src: &[u8]) -> Result<Option<(u64, usize)>, FrameError> {
        let length = match self {
            Self::U8 => src.first().map(|&byte| byte.into()),
            Self::U16Be => src.first_chunk().map(|&b| u16::from_be_bytes(b).into()),
            Self::U16Le => src.first_chunk().map(|&b| u16::from_le_bytes(b).into()),
            Self::U32Be => src.first_chunk().map(|&b| u32::from_be_bytes(b).into()),
            Self::U32Le => src.first_chunk().map(|&b| u32::from_le_bytes(b).into()),
            Self::Varint => return varint(src),
        };
        Ok(length.map(|length| (length, self.of(length))))
    }

    fn write(self, length: u64, dst: &mut BytesMut) {
        let all = length.to_be_bytes();
        match self {
            Self::U8 => dst.put_slice(&all[7..]),
            Self::U16Be => dst.put_slice(&all[6..]),
            Self::U32Be => dst.put_slice(&all[4..]),
            Self::U16Le => dst.put_slice(&length.to_le_bytes()[..2]),
            Self::U32Le => dst.put_slice(&length.to_le_bytes()[..4]),
            Self::Varint => {
                let mut rest = length;
                while rest > 0x7f {
                    dst.put_u8(rest.to_le_bytes()[0] | 0x80);
                    rest >>= 7;
                }
                dst.put_u8(rest.to_le_bytes()[0]);
            }
        }
    }
}

fn varint(src: &[u8]) -> Result<Option<(u64, usize)>, FrameError> {
    let mut length = 0_u64;
    for (index, &byte) in src.iter().enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && byte > 1 {
            return Err(FrameError::Malformed("a length of more than 64 bits"));
        }
        length |= bits << (7 * index);
        if byte < 0x80 {
            return match byte == 0 && index > 0 {
                true => Err(FrameError::Malformed(
                    "a length in more bytes than it needs",
                )),
                false => Ok(Some((length, index + 1))),
            };
        }
    }
    Ok(None)
}

impl LengthPrefixed {
    /// Frames of at most `max` bytes behind a length of this width.
    ///
    /// # Panics
    ///
    /// Panics if the width cannot say `max`; in a constant, that is a compile error.
    pub const fn new(width: Width, max: usize) -> Self {
        assert!(
            max as u64 <= width.limit(),
            "a length of this width cannot say `max`"
        );
        Self {
            width,
            max,
            includes_itself: false,
            on_overflow: Overflow::Error,
            announced: None,
            skip: Skip::new(),
        }
    }

    /// Whether the length counts its own bytes, too; it does not if nothing is said. `max` never does.
    ///
    /// # Panics
    ///
    /// Panics if the width cannot say `max` and itself; in a constant, that is a compile error.
    pub const fn includes_itself(mut self, includes_itself: bool) -> Self {
        let room = self.width.limit() - self.max as u64;
        assert!(
            !includes_itself || room >= self.width.of(self.width.limit()) as u64,
            "a length of this width cannot say `max` and its own bytes"
        );
        self.includes_itself = includes_itself;
        self
    }

    /// What becomes of a frame that is too long; an error if nothing is said.
    pub const fn on_overflow(mut self, on_overflow: Overflow) -> Self {
        self.on_overflow = on_overflow;
        self
    }

    /// What the length of a frame of `count` bytes says.
    fn length_of(&self, count: usize) -> u64 {
        let count = count as u64;
        if !self.includes_itself {
            return count;
        }
        // Only a varint's own bytes depend on what it says, and one more may be needed to say them.
        let alone = count + self.width.of(count) as u64;
        count + self.width.of(alone) as u64
    }

    /// How many bytes the frame has that this length, itself of `own` bytes, announces.
    fn announced_by(&self, length: u64, own: usize) -> Result<u64, FrameError> {
        let own = if self.includes_itself { own as u64 } else { 0 };
        length
            .checked_sub(own)
            .ok_or(FrameError::Malformed("a length that is less than itself"))
    }

    /// Makes sure that the next frame's length is known and not too much; `None`: more bytes must come.
    fn announce(&mut self, src: &mut BytesMut) -> Result<Option<(usize, usize)>, FrameError> {
        while self.announced.is_none() {
            let Some((length, own)) = self.width.read(src)? else {
                return Ok(None);
            };
            let count = self.announced_by(length, own)?;
            match usize::try_from(count)
                .ok()
                .filter(|&count| count <= self.max)
            {
                Some(count) => self.announced = Some((own, count)),
                None => {
                    src.advance(own);
                    self.skip.overflow(count, self.max, self.on_overflow)?;
                    if !self.skip.skip(src) {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(self.announced)
    }
}

impl Decoder for LengthPrefixed {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        if !self.skip.skip(src) {
            return Ok(None);
        }
        let announced = self.announce(src);
        let announced = announced.inspect_err(|error| self.skip.after(error, src))?;
        let is_whole = |(own, count): &(usize, usize)| {
            let there = src.len().checked_sub(*own);
            there.is_some_and(|there| there >= *count)
        };
        let Some((own, count)) = announced.filter(is_whole) else {
            return Ok(None);
        };
        self.announced = None;
        src.advance(own);
        Ok(Some(src.split_to(count).freeze()))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let frame = self.decode(src)?;
        if frame.is_none() && !src.is_empty() {
            src.clear();
            self.announced = None;
            return Err(FrameError::Truncated);
        }
        Ok(frame)
    }

    fn has_ended(&self) -> bool {
        self.skip.has_ended()
    }

    fn decode_packet(&mut self, packet: Bytes) -> Result<Option<Bytes>, FrameError> {
        super::packet(packet, self.max, self.on_overflow)
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for LengthPrefixed {
    type Error = FrameError;

    fn encode(&mut self, frame: T, dst: &mut BytesMut) -> Result<(), FrameError> {
        let frame = frame.as_ref();
        super::check_reply(frame, self.max)?;
        let length = self.length_of(frame.len());
        dst.reserve(self.width.of(length) + frame.len());
        self.width.write(length, dst);
        dst.put_slice(frame);
        Ok(())
    }

    fn encode_packet(&mut self, frame: T, dst: &mut BytesMut) -> Result<(), FrameError> {
        let frame = frame.as_ref();
        super::check_reply(frame, self.max)?;
        dst.extend_from_slice(frame);
        Ok(())
    }
}
