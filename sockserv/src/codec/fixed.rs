//! [`Fixed`].

use std::num::NonZeroUsize;

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{Decoder, Encoder, FrameError};

/// Frames of exactly so many bytes, and nothing between them.
///
/// Encoding refuses a frame of another length. What is less than a frame when the stream ends is
/// [`FrameError::Truncated`].
///
/// # Examples
///
/// ```
/// use sockserv::bytes::BytesMut;
/// use sockserv::codec::{Decoder, Fixed, FrameError};
///
/// let mut pairs = Fixed::new(2);
/// let mut buffer = BytesMut::from("abc");
/// assert_eq!(pairs.decode(&mut buffer)?.unwrap(), "ab");
/// assert_eq!(pairs.decode(&mut buffer)?, None);
/// # Ok::<(), FrameError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Fixed {
    length: NonZeroUsize,
}

impl Fixed {
    /// Frames of this length.
    ///
    /// # Panics
    ///
    /// Panics if it is zero; in a constant, that is a compile error.
    pub const fn new(length: usize) -> Self {
        match NonZeroUsize::new(length) {
            Some(length) => Self { length },
            None => panic!("a frame of a fixed length has at least one byte"),
        }
    }
}

impl Decoder for Fixed {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let length = self.length.get();
        Ok((src.len() >= length).then(|| src.split_to(length).freeze()))
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for Fixed {
    type Error = FrameError;

    fn encode(&mut self, frame: T, dst: &mut BytesMut) -> Result<(), FrameError> {
        let (frame, length) = (frame.as_ref(), self.length.get());
        if frame.len() > length {
            return Err(FrameError::Malformed("a frame that is too long"));
        }
        if frame.len() < length {
            return Err(FrameError::Malformed("a frame that is too short"));
        }
        dst.reserve(length);
        dst.put_slice(frame);
        Ok(())
    }
}
