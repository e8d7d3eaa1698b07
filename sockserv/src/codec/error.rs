//! What can be wrong with frames.

use std::error::Error;
use std::{fmt, io};

/// Why bytes are no frame, or a frame cannot be made of bytes.
///
/// Converts into an [`io::Error`] (`InvalidData`, `UnexpectedEof` if truncated, `InvalidInput` for a reply that is too long)
/// and back, so `?` works in a handler.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use sockserv::codec::FrameError;
///
/// let error = io::Error::from(FrameError::TooLong { max: 512 });
/// assert_eq!(error.kind(), io::ErrorKind::InvalidData);
/// assert_eq!(error.to_string(), "a frame is longer than 512 bytes");
/// assert!(matches!(FrameError::from(error), FrameError::TooLong { max: 512 }));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum FrameError {
    /// It is longer than the codec's `max`.
    TooLong {
        /// How many bytes a frame may have.
        max: usize,
    },
    /// What is to be sent is longer than the codec's `max`, which bounds both directions.
    ReplyTooLong {
        /// How many bytes it has.
        length: usize,
        /// How many bytes a frame may have.
        max: usize,
    },
    /// The stream ended in the middle of it.
    Truncated,
    /// Its framing is broken; this is what was expected, or what may not be there.
    Malformed(&'static str),
    /// Reading or writing failed.
    Io(io::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { max } => write!(f, "a frame is longer than {max} bytes"),
            Self::ReplyTooLong { length, max } => write!(
                f,
                "a reply of {length} bytes is longer than `max`, which is {max}; write `max = {length}` or more, or send less"
            ),
            Self::Truncated => f.write_str("the stream ended in the middle of a frame"),
            Self::Malformed(what) => write!(f, "malformed frame: {what}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl Error for FrameError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Io)
    }
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        let kind = match error {
            FrameError::Io(error) => return error,
            FrameError::ReplyTooLong { .. } => io::ErrorKind::InvalidInput,
            FrameError::Truncated => io::ErrorKind::UnexpectedEof,
            FrameError::TooLong { .. } | FrameError::Malformed(_) => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
