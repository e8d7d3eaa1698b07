//! Values into bytes.

use bytes::{Bytes, BytesMut};

use super::{Input, Xdr, XdrError};

/// What the padding is made of.
const ZEROS: [u8; 4] = [0; 4];

/// Bytes to append values to.
///
/// # Examples
///
/// ```
/// use sockserv::rpc::xdr::{Output, XdrError};
///
/// let mut output = Output::new();
/// output.string("hi", 10)?;
/// assert_eq!(output.as_ref(), b"\0\0\0\x02hi\0\0");
/// assert_eq!(output.string("too long", 3), Err(XdrError::TooLong { max: 3 }));
/// # Ok::<(), XdrError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Output {
    bytes: BytesMut,
}

impl Output {
    /// Makes an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what was appended, to take it apart again.
    #[must_use]
    pub fn into_input(self) -> Input {
        Input::new(self.into_bytes())
    }

    /// Returns what was appended.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes.freeze()
    }

    /// Takes away what is behind the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    /// Writes over what stands at the front.
    pub(crate) fn overwrite(&mut self, front: &[u8]) {
        self.bytes[..front.len()].copy_from_slice(front);
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.put(bytes);
        self.put(&ZEROS[..bytes.len().wrapping_neg() % ZEROS.len()]);
    }

    fn length(&mut self, length: usize, max: u32) -> Result<(), XdrError> {
        match u32::try_from(length) {
            Ok(length) if length <= max => length.encode(self),
            _ => Err(XdrError::TooLong { max }),
        }
    }

    /// Appends an `opaque[N]`.
    ///
    /// # Errors
    ///
    /// None.
    pub fn opaque_fixed<const N: usize>(&mut self, bytes: &[u8; N]) -> Result<(), XdrError> {
        self.padded(bytes);
        Ok(())
    }

    /// Appends an `opaque<max>`.
    ///
    /// # Errors
    ///
    /// If it is longer.
    pub fn opaque(&mut self, bytes: &[u8], max: u32) -> Result<(), XdrError> {
        self.length(bytes.len(), max)?;
        self.padded(bytes);
        Ok(())
    }

    /// Appends a `string<max>`.
    ///
    /// # Errors
    ///
    /// If it is longer.
    pub fn string(&mut self, text: &str, max: u32) -> Result<(), XdrError> {
        self.opaque(text.as_bytes(), max)
    }

    /// Appends a `T[N]`.
    ///
    /// # Errors
    ///
    /// An element's own.
    pub fn array_fixed<T, const N: usize>(
        &mut self,
        elements: &[T; N],
        element: impl FnMut(&T, &mut Self) -> Result<(), XdrError>,
    ) -> Result<(), XdrError> {
        self.elements(elements, element)
    }

    /// Appends a `T<max>`.
    ///
    /// # Errors
    ///
    /// If it is longer, or an element's own.
    pub fn array<T>(
        &mut self,
        elements: &[T],
        max: u32,
        element: impl FnMut(&T, &mut Self) -> Result<(), XdrError>,
    ) -> Result<(), XdrError> {
        self.length(elements.len(), max)?;
        self.elements(elements, element)
    }

    fn elements<T>(
        &mut self,
        elements: &[T],
        mut element: impl FnMut(&T, &mut Self) -> Result<(), XdrError>,
    ) -> Result<(), XdrError> {
        elements.iter().try_for_each(|one| element(one, self))
    }

    /// Appends a `T *`.
    ///
    /// # Errors
    ///
    /// The value's own.
    pub fn optional<T>(
        &mut self,
        value: Option<&T>,
        encode: impl FnOnce(&T, &mut Self) -> Result<(), XdrError>,
    ) -> Result<(), XdrError> {
        value.is_some().encode(self)?;
        value.map_or(Ok(()), |value| encode(value, self))
    }
}

impl AsRef<[u8]> for Output {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
