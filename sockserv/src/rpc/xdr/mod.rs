//! XDR, the external data representation of RFC 4506: values in, values out, nothing else.
//!
//! Everything is a multiple of four bytes, the most significant byte first. Decoding takes no more memory than a fixed
//! multiple of the bytes that are there, whatever lengths they claim, and goes [`DEPTH`] levels deep at most.

mod input;
mod output;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;

pub use input::Input;
pub use output::Output;

/// How deep optional data and arrays may stand in each other: otherwise a hostile list would overflow the thread's stack.
/// A linked list (`node *next`) has so many nodes at most.
pub const DEPTH: u32 = 256;

/// A type that has an external representation.
///
/// The types of an interface file have it; by hand it is written field by field.
///
/// # Examples
///
/// ```
/// use sockserv::rpc::xdr::{Input, Output, Xdr, XdrError};
///
/// #[derive(Debug, PartialEq)]
/// struct Point {
///     x: i32,
///     y: i32,
/// }
///
/// impl Xdr for Point {
///     fn decode(input: &mut Input) -> Result<Self, XdrError> {
///         Ok(Self { x: Xdr::decode(input)?, y: Xdr::decode(input)? })
///     }
///
///     fn encode(&self, output: &mut Output) -> Result<(), XdrError> {
///         self.x.encode(output)?;
///         self.y.encode(output)
///     }
/// }
///
/// let mut output = Output::new();
/// Point { x: 1, y: -1 }.encode(&mut output)?;
/// assert_eq!(output.as_ref(), b"\0\0\0\x01\xff\xff\xff\xff");
/// assert_eq!(Point::decode(&mut output.into_input())?, Point { x: 1, y: -1 });
/// # Ok::<(), XdrError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no external representation",
    label = "is not `Xdr`",
    note = "write `impl sockserv::rpc::xdr::Xdr for {Self}`, or use a type of the interface file"
)]
pub trait Xdr: Sized {
    /// Takes one from the front of `input`.
    ///
    /// # Errors
    ///
    /// If the bytes are none.
    fn decode(input: &mut Input) -> Result<Self, XdrError>;

    /// Appends it to `output`.
    ///
    /// # Errors
    ///
    /// If it is longer than its type allows.
    fn encode(&self, output: &mut Output) -> Result<(), XdrError>;
}

/// Why bytes are no value, or a value cannot be bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XdrError {
    /// The bytes end in the middle of the value.
    Truncated,
    /// Something is behind the last value.
    Leftover,
    /// A length is over its maximum.
    TooLong {
        /// The maximum.
        max: u32,
    },
    /// An enum, a union or a bool has no such value.
    UnknownValue(i64),
    /// A string is not UTF-8.
    NotText,
    /// Optional data or arrays stand in each other deeper than [`DEPTH`].
    TooDeep,
}

impl fmt::Display for XdrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.pad("the value ends too early"),
            Self::Leftover => f.pad("bytes follow the last value"),
            Self::TooLong { max } => write!(f, "longer than its maximum of {max}"),
            Self::UnknownValue(value) => write!(f, "no variant has the value {value}"),
            Self::NotText => f.pad("a string is not UTF-8"),
            Self::TooDeep => write!(f, "nested deeper than {DEPTH}"),
        }
    }
}

impl Error for XdrError {}

macro_rules! integers {
    ($($ty:ty: $wire:ty;)*) => {$(
        impl Xdr for $ty {
            fn decode(input: &mut Input) -> Result<Self, XdrError> {
                let value = <$wire>::from_be_bytes(input.bytes()?);
                Self::try_from(value).map_err(|_| XdrError::UnknownValue(i64::from(value)))
            }

            fn encode(&self, output: &mut Output) -> Result<(), XdrError> {
                output.put(&<$wire>::from(*self).to_be_bytes());
                Ok(())
            }
        }
    )*};
}
integers! {
    i8: i32;
    u8: u32;
    i16: i32;
    u16: u32;
}

macro_rules! numbers {
    ($($ty:ty),*) => {$(
        impl Xdr for $ty {
            fn decode(input: &mut Input) -> Result<Self, XdrError> {
                input.bytes().map(Self::from_be_bytes)
            }

            fn encode(&self, output: &mut Output) -> Result<(), XdrError> {
                output.put(&self.to_be_bytes());
                Ok(())
            }
        }
    )*};
}
numbers!(i32, u32, i64, u64, f32, f64);

impl Xdr for bool {
    fn decode(input: &mut Input) -> Result<Self, XdrError> {
        match i32::decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(XdrError::UnknownValue(other.into())),
        }
    }

    fn encode(&self, output: &mut Output) -> Result<(), XdrError> {
        i32::from(*self).encode(output)
    }
}

/// `void`: no bytes at all.
impl Xdr for () {
    fn decode(_: &mut Input) -> Result<Self, XdrError> {
        Ok(())
    }

    fn encode(&self, _: &mut Output) -> Result<(), XdrError> {
        Ok(())
    }
}

/// `string<>`, of UTF-8.
impl Xdr for String {
    fn decode(input: &mut Input) -> Result<Self, XdrError> {
        input.string(u32::MAX)
    }

    fn encode(&self, output: &mut Output) -> Result<(), XdrError> {
        output.string(self, u32::MAX)
    }
}

/// `opaque<>`, as a view of the message.
impl Xdr for bytes::Bytes {
    fn decode(input: &mut Input) -> Result<Self, XdrError> {
        input.opaque(u32::MAX)
    }

    fn encode(&self, output: &mut Output) -> Result<(), XdrError> {
        output.opaque(self, u32::MAX)
    }
}

/// `T<>`.
impl<T: Xdr> Xdr for Vec<T> {
    fn decode(input: &mut Input) -> Result<Self, XdrError> {
        input.array(u32::MAX, T::decode)
    }

    fn encode(&self, output: &mut Output) -> Result<(), XdrError> {
        output.array(self, u32::MAX, T::encode)
    }
}

/// `T *`.
impl<T: Xdr> Xdr for Option<T> {
    fn decode(input: &mut Input) -> Result<Self, XdrError> {
        input.optional(T::decode)
    }

    fn encode(&self, output: &mut Output) -> Result<(), XdrError> {
        output.optional(self.as_ref(), T::encode)
    }
}

impl<T: Xdr> Xdr for Box<T> {
    fn decode(input: &mut Input) -> Result<Self, XdrError> {
        T::decode(input).map(Self::new)
    }

    fn encode(&self, output: &mut Output) -> Result<(), XdrError> {
        T::encode(self, output)
    }
}
