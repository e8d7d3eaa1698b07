//! Words that may be quoted, as in a shell.

use bytes::{BufMut, Bytes, BytesMut};

use super::words::is_space;

/// Returns whether a line must be looked at for quotes at all.
pub(super) fn has_quotes(line: &[u8]) -> bool {
    line.iter().any(|byte| b"\"'\\".contains(byte))
}

/// A word of a line, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// None if a quote is not closed: then it is the last one.
    pub(super) word: Option<Bytes>,
    /// Where it begins in the line.
    pub(super) at: usize,
}

impl Quoted {
    /// Returns the words of a line.
    pub(super) fn all(line: &[u8]) -> Vec<Self> {
        let mut words = Vec::new();
        let mut at = spaces(line);
        while at < line.len() {
            let (word, length) = first(&line[at..]);
            words.push(Self { word, at });
            at += length;
            at += spaces(&line[at..]);
        }
        words
    }
}

fn spaces(text: &[u8]) -> usize {
    text.iter().take_while(|byte| is_space(**byte)).count()
}

/// Returns the word that a text begins with, unless a quote in it is not closed, and how long it is there.
fn first(text: &[u8]) -> (Option<Bytes>, usize) {
    let (mut word, mut quote) = (BytesMut::new(), None);
    let mut bytes = text.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match (quote, byte) {
            (None, byte) if is_space(byte) => return (Some(word.freeze()), at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None | Some(b'"'), b'\\') => match bytes.next() {
                Some((_, byte)) if quote.is_none() || b"\"\\".contains(&byte) => word.put_u8(byte),
                Some((_, byte)) => word.put_slice(&[b'\\', byte]),
                None => return (None, text.len()),
            },
            (_, byte) => word.put_u8(byte),
        }
    }
    (quote.is_none().then(|| word.freeze()), text.len())
}
