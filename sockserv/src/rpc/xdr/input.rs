//! Values out of bytes.

use bytes::Bytes;

use super::{DEPTH, Xdr, XdrError};

/// The smallest value has so many bytes: no array can have more elements than the rest of the message has of these.
const UNIT: usize = 4;

/// Bytes to take values from.
///
/// # Examples
///
/// ```
/// use sockserv::rpc::xdr::{Input, Xdr, XdrError};
///
/// let mut input = Input::new(&b"\0\0\0\x02hi\0\0\0\0\0\x07"[..]);
/// assert_eq!(input.string(10)?, "hi");
/// assert_eq!(i32::decode(&mut input)?, 7);
/// assert_eq!(i32::decode(&mut input), Err(XdrError::Truncated));
/// # Ok::<(), XdrError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Input {
    rest: Bytes,
    depth: u32,
}

impl Input {
    /// Begins at the front of `bytes`.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self {
            rest: bytes.into(),
            depth: 0,
        }
    }

    /// Returns what is left.
    #[must_use]
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    /// Insists that nothing is left.
    ///
    /// # Errors
    ///
    /// [`Leftover`](XdrError::Leftover).
    pub fn finish(&self) -> Result<(), XdrError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(XdrError::Leftover)
        }
    }

    /// Takes `N` bytes as they stand, without padding.
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], XdrError> {
        let Some((bytes, _)) = self.rest.split_first_chunk::<N>() else {
            return Err(XdrError::Truncated);
        };
        let bytes = *bytes;
        bytes::Buf::advance(&mut self.rest, N);
        Ok(bytes)
    }

    /// Takes `length` bytes and what pads them; what stands in the padding does not matter.
    fn padded(&mut self, length: usize) -> Result<Bytes, XdrError> {
        let padding = length.wrapping_neg() % UNIT;
        let total = length.checked_add(padding).ok_or(XdrError::Truncated)?;
        if self.rest.len() < total {
            return Err(XdrError::Truncated);
        }
        let mut bytes = self.rest.split_to(total);
        bytes.truncate(length);
        Ok(bytes)
    }

    fn length(&mut self, max: u32) -> Result<usize, XdrError> {
        let length = u32::decode(self)?;
        if length > max {
            return Err(XdrError::TooLong { max });
        }
        usize::try_from(length).map_err(|_| XdrError::Truncated)
    }

    /// Takes an `opaque[N]`.
    ///
    /// # Errors
    ///
    /// If the bytes end before.
    pub fn opaque_fixed<const N: usize>(&mut self) -> Result<[u8; N], XdrError> {
        let bytes = self.padded(N)?;
        <[u8; N]>::try_from(&*bytes).map_err(|_| XdrError::Truncated)
    }

    /// Takes an `opaque<max>`, as a view of the message.
    ///
    /// # Errors
    ///
    /// If it is longer, or the bytes end before.
    pub fn opaque(&mut self, max: u32) -> Result<Bytes, XdrError> {
        let length = self.length(max)?;
        self.padded(length)
    }

    /// Takes a `string<max>`.
    ///
    /// # Errors
    ///
    /// If it is longer or not UTF-8, or the bytes end before.
    pub fn string(&mut self, max: u32) -> Result<String, XdrError> {
        let bytes = self.opaque(max)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| XdrError::NotText)?;
        Ok(text.to_owned())
    }

    /// Takes a `T[N]`.
    ///
    /// # Errors
    ///
    /// If an element is no `T`.
    pub fn array_fixed<T, const N: usize>(
        &mut self,
        element: impl FnMut(&mut Self) -> Result<T, XdrError>,
    ) -> Result<[T; N], XdrError> {
        let elements = self.elements(N, element)?;
        <[T; N]>::try_from(elements).map_err(|_| XdrError::Truncated)
    }

    /// Takes a `T<max>`.
    ///
    /// # Errors
    ///
    /// If it is longer, or an element is no `T`.
    pub fn array<T>(
        &mut self,
        max: u32,
        element: impl FnMut(&mut Self) -> Result<T, XdrError>,
    ) -> Result<Vec<T>, XdrError> {
        let length = self.length(max)?;
        self.elements(length, element)
    }

    fn elements<T>(
        &mut self,
        count: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, XdrError>,
    ) -> Result<Vec<T>, XdrError> {
        if count > self.rest.len() / UNIT {
            return Err(XdrError::Truncated);
        }
        // What is claimed is believed only as far as bytes are there; beyond that the vector grows with its elements.
        let believed = self.rest.len() / size_of::<T>().max(UNIT);
        let mut elements = Vec::with_capacity(count.min(believed));
        self.deeper(|input| {
            for _ in 0..count {
                elements.push(element(input)?);
            }
            Ok(elements)
        })
    }

    /// Takes a `T *`.
    ///
    /// # Errors
    ///
    /// If it is there and no `T`.
    pub fn optional<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, XdrError>,
    ) -> Result<Option<T>, XdrError> {
        if bool::decode(self)? {
            self.deeper(value).map(Some)
        } else {
            Ok(None)
        }
    }

    fn deeper<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, XdrError>,
    ) -> Result<T, XdrError> {
        if self.depth == DEPTH {
            return Err(XdrError::TooDeep);
        }
        self.depth += 1;
        let value = value(self);
        self.depth -= 1;
        value
    }
}
