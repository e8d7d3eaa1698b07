//! Record marking, RFC 5531, section 11: messages on a stream, each in fragments with a four-byte head.

use std::io::{self, BufRead};

use bytes::{Bytes, BytesMut};

use crate::request::Rfile;

/// The bit that marks a record's last fragment.
pub(super) const LAST: u32 = 1 << 31;

/// A reply leaves as one fragment.
pub(super) fn head(length: usize) -> Option<[u8; 4]> {
    let length = u32::try_from(length).ok().filter(|length| *length < LAST)?;
    Some((length | LAST).to_be_bytes())
}

/// Reads the next record of at most `max` bytes; nothing at the end of the stream.
///
/// # Errors
///
/// `InvalidData` for a longer one or one whose fragments make no progress, `UnexpectedEof` for half a one.
pub(super) fn read(rfile: &mut Rfile, max: usize) -> io::Result<Option<Bytes>> {
    if rfile.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut record = BytesMut::new();
    loop {
        let Fragment { length, is_last } = Fragment::new(&rfile.read_bytes(4)?, record.len(), max)?;
        let fragment = rfile.read_bytes(length)?;
        if is_last && record.is_empty() {
            return Ok(Some(fragment));
        }
        record.extend_from_slice(&fragment);
        if is_last {
            return Ok(Some(record.freeze()));
        }
    }
}

/// What a fragment's head says.
#[derive(Debug, PartialEq, Eq)]
struct Fragment {
    length: usize,
    is_last: bool,
}

impl Fragment {
    fn new(head: &[u8], before: usize, max: usize) -> io::Result<Self> {
        let head = <[u8; 4]>::try_from(head).map_err(|_| malformed("a fragment without a head"))?;
        let head = u32::from_be_bytes(head);
        let is_last = head & LAST != 0;
        let length = usize::try_from(head & !LAST).unwrap_or(usize::MAX);
        if length == 0 && !is_last {
            return Err(malformed("an empty fragment that is not the last"));
        }
        if length > max.saturating_sub(before) {
            return Err(malformed(format!("a record of more than {max} bytes")));
        }
        Ok(Self { length, is_last })
    }
}

fn malformed(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_how_long_and_whether_more_follows() {
        let fragment = |head: u32, before| Fragment::new(&head.to_be_bytes(), before, 100).ok();
        let told = |length, is_last| Some(Fragment { length, is_last });
        assert_eq!(fragment(LAST | 100, 0), told(100, true));
        assert_eq!(fragment(60, 40), told(60, false));
        assert_eq!(fragment(LAST, 100), told(0, true));
        assert_eq!(fragment(LAST | 61, 40), None);
        assert_eq!(fragment(0, 0), None);
        assert_eq!(fragment(u32::MAX, 0), None);
        assert_eq!(head(3), Some([0x80, 0, 0, 3]));
    }
}
