//! What is left to be skipped of a frame that is too long.

use bytes::{Buf, BytesMut};

use crate::codec::{FrameError, Overflow};

/// Bytes that nobody wants, although most of them have not come.
#[derive(Clone, Debug)]
pub(super) enum Skip {
    Bytes(u64),
    /// Nothing is wanted any more.
    Ended,
}

impl Skip {
    pub(super) const fn new() -> Self {
        Self::Bytes(0)
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }

    /// Skips what is there; returns whether that was all of it.
    pub(super) fn skip(&mut self, src: &mut BytesMut) -> bool {
        match self {
            Self::Ended => {
                src.clear();
                false
            }
            Self::Bytes(left) => {
                let there = usize::try_from(*left).map_or(src.len(), |left| left.min(src.len()));
                src.advance(there);
                *left -= there as u64;
                *left == 0
            }
        }
    }

    /// So many bytes are too long a frame.
    pub(super) fn overflow(
        &mut self,
        count: u64,
        max: usize,
        overflow: Overflow,
    ) -> Result<(), FrameError> {
        *self = Self::Bytes(count);
        match overflow {
            Overflow::Discard => return Ok(()),
            Overflow::Error => {}
            Overflow::Close => *self = Self::Ended,
        }
        Err(FrameError::TooLong { max })
    }

    /// After a malformed frame nobody knows where the next one begins.
    pub(super) fn after(&mut self, error: &FrameError, src: &mut BytesMut) {
        if matches!(error, FrameError::Malformed(_)) {
            *self = Self::Ended;
        }
        if self.has_ended() {
            src.clear();
        }
    }
}
