//! [`RecordMarking`].

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::codec::skip::Skip;
use crate::codec::{Decoder, Encoder, FrameError, Overflow};

/// Says that a fragment is its record's last one: RFC 5531, section 11.
const LAST: u32 = 1 << 31;

/// How many bytes stand before a fragment.
const HEAD: usize = 4;

/// Records of at most `max` bytes in one or more fragments, as Sun RPC has them on a stream: RFC 5531, section 11.
///
/// A record of one fragment is not copied; those of several are moved together where they are. Peers may send a byte a
/// fragment: then the buffer needs up to `5 * max` bytes for a record of `max`.
///
/// A record that is too long is an error as soon as a fragment announces it, if nothing else is said, and is skipped up to
/// its last fragment. An empty fragment that is not the last one is malformed, as it is to libtirpc: it would let a peer go
/// on for ever without sending anything. It ends the decoding.
///
/// Records are sent in one fragment, or in as many as it takes beyond 2 GiB.
///
/// # Examples
///
/// ```
/// use sockserv::bytes::BytesMut;
/// use sockserv::codec::{Decoder, FrameError, RecordMarking};
///
/// let mut records = RecordMarking::new(1024);
/// let mut buffer = BytesMut::from(&b"\0\0\0\x03hel\x80\0\0\x02lo"[..]);
/// assert_eq!(records.decode(&mut buffer)?.unwrap(), "hello");
/// # Ok::<(), FrameError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RecordMarking {
    max: usize,
    on_overflow: Overflow,
    /// The whole fragments at the front of the buffer.
    whole: Fragments,
    skip: Skip,
    /// Whether the fragments that follow belong to a record that is too long.
    is_skipping: bool,
}

#[derive(Clone, Debug)]
struct Fragments {
    /// How many bytes they take with their heads.
    end: usize,
    /// How many without.
    content: usize,
}

impl Fragments {
    const NONE: Self = Self { end: 0, content: 0 };
}

impl RecordMarking {
    /// Records of at most `max` bytes.
    pub const fn new(max: usize) -> Self {
        Self {
            max,
            on_overflow: Overflow::Error,
            whole: Fragments::NONE,
            skip: Skip::new(),
            is_skipping: false,
        }
    }

    /// What becomes of a record that is too long; an error if nothing is said.
    pub const fn on_overflow(mut self, on_overflow: Overflow) -> Self {
        self.on_overflow = on_overflow;
        self
    }

    fn next(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        while self.skip.skip(src) {
            let Some((count, is_last)) = head(&src[self.whole.end.min(src.len())..])? else {
                return Ok(None);
            };
            if self.is_skipping {
                src.advance(HEAD);
                self.is_skipping = !is_last;
                self.skip = Skip::Bytes(count as u64);
                continue;
            }
            if count > self.max - self.whole.content {
                src.advance(self.whole.end + HEAD);
                self.whole = Fragments::NONE;
                self.is_skipping = !is_last;
                self.skip
                    .overflow(count as u64, self.max, self.on_overflow)?;
                continue;
            }
            if src.len() - self.whole.end - HEAD < count {
                return Ok(None);
            }
            self.whole.end += HEAD + count;
            self.whole.content += count;
            if is_last {
                return Ok(Some(self.take(src)));
            }
        }
        Ok(None)
    }

    /// Takes the record that is there as a whole.
    fn take(&mut self, src: &mut BytesMut) -> Bytes {
        let Fragments { end, content } = std::mem::replace(&mut self.whole, Fragments::NONE);
        let mut record = src.split_to(end);
        if end == HEAD + content {
            record.advance(HEAD);
        } else {
            gather(&mut record);
        }
        record.freeze()
    }
}

/// What the head of a fragment says, if it is there: how many bytes follow, and whether the record ends with them.
fn head(src: &[u8]) -> Result<Option<(usize, bool)>, FrameError> {
    let Some(&head) = src.first_chunk::<HEAD>() else {
        return Ok(None);
    };
    match u32::from_be_bytes(head) {
        0 => Err(FrameError::Malformed("an empty fragment before the last")),
        head => Ok(Some(((head & !LAST) as usize, head & LAST != 0))),
    }
}

/// Moves the contents of fragments together.
fn gather(fragments: &mut BytesMut) {
    let (mut from, mut to) = (0, 0);
    while let Ok(Some((count, _))) = head(&fragments[from..]) {
        from += HEAD;
        fragments.copy_within(from..from + count, to);
        from += count;
        to += count;
    }
    fragments.truncate(to);
}

impl Decoder for RecordMarking {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let record = self.next(src);
        record.inspect_err(|error| self.skip.after(error, src))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let record = self.decode(src)?;
        if record.is_none() && !src.is_empty() {
            src.clear();
            self.whole = Fragments::NONE;
            // Of a record that is too long nothing more is to be said.
            return if self.is_skipping {
                Ok(None)
            } else {
                Err(FrameError::Truncated)
            };
        }
        Ok(record)
    }

    fn has_ended(&self) -> bool {
        self.skip.has_ended()
    }

    fn decode_packet(&mut self, packet: Bytes) -> Result<Option<Bytes>, FrameError> {
        super::packet(packet, self.max, self.on_overflow)
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for RecordMarking {
    type Error = FrameError;

    fn encode(&mut self, record: T, dst: &mut BytesMut) -> Result<(), FrameError> {
        const MOST: usize = (LAST - 1) as usize;
        let mut rest = record.as_ref();
        super::check_reply(rest, self.max)?;
        dst.reserve(rest.len() + HEAD * (1 + rest.len() / MOST));
        while let Some((fragment, behind)) =
            rest.split_at_checked(MOST).filter(|_| rest.len() > MOST)
        {
            dst.put_u32(LAST - 1);
            dst.put_slice(fragment);
            rest = behind;
        }
        dst.put_u32(LAST | rest.len() as u32);
        dst.put_slice(rest);
        Ok(())
    }

    fn encode_packet(&mut self, record: T, dst: &mut BytesMut) -> Result<(), FrameError> {
        let record = record.as_ref();
        super::check_reply(record, self.max)?;
        dst.extend_from_slice(record);
        Ok(())
    }
}
