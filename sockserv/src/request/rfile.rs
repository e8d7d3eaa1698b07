//! [`Rfile`], the buffered way in, and [`Reader`], the same without the tie to the way out.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};

use crate::request::link::{Link, Span};
use crate::request::wfile::Tie;

/// How much `read_bytes` asks memory for at a time: a peer that announces a gigabyte must send it first.
const STEP: usize = 64 << 10;

/// How much `read_to_end` makes room for at least.
const MORE: usize = 1 << 10;

/// The bytes that were received and not yet taken.
#[derive(Debug)]
pub(crate) struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    size: usize,
    max_line: usize,
}

impl Input {
    pub(crate) fn new(size: usize, max_line: usize) -> Self {
        Self {
            buffer: Box::default(),
            start: 0,
            end: 0,
            size,
            max_line,
        }
    }

    /// What was received and not yet taken.
    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Puts bytes that were received elsewhere in front of everything.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.buffer = bytes.into();
        (self.start, self.end) = (0, bytes.len());
    }

    /// Takes the buffer itself: what was not taken yet, and behind it the room for more, whose bytes have no meaning.
    pub(super) fn take_buffer(&mut self) -> (BytesMut, BytesMut) {
        let (start, end) = (self.start, self.end);
        (self.start, self.end) = (0, 0);
        // Neither conversion copies: nobody else has it.
        let mut unread = BytesMut::from(Bytes::from(std::mem::take(&mut self.buffer)));
        let room = unread.split_off(end);
        unread.advance(start);
        (unread, room)
    }

    /// How much is received at a time.
    pub(super) fn size(&self) -> usize {
        self.size.max(1)
    }

    pub(crate) fn take(&mut self) -> Bytes {
        let bytes = Bytes::copy_from_slice(self.unread());
        (self.start, self.end) = (0, 0);
        bytes
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Receives into the empty buffer, which is made, or taken from the last request of this thread, when it is first
    /// needed.
    fn refill(&mut self, link: &Link, span: &mut Span) -> io::Result<usize> {
        if self.buffer.len() < self.size() {
            self.buffer = spare(self.size());
        }
        (self.start, self.end) = (0, 0);
        self.end = link.read(&mut self.buffer, span)?;
        Ok(self.end)
    }

    /// Receives behind what is unread, which may become as long as the longest line.
    fn receive_more(&mut self, link: &Link, span: &mut Span) -> io::Result<usize> {
        if self.is_empty() {
            return self.refill(link, span);
        }
        if self.end == self.buffer.len() {
            self.make_room()?;
        }
        let count = link.read(&mut self.buffer[self.end..], span)?;
        self.end += count;
        Ok(count)
    }

    /// Moves what is unread to the front, of a larger buffer if need be.
    fn make_room(&mut self) -> io::Result<()> {
        if self.start == 0 {
            if self.end >= self.max_line.max(self.size) {
                return Err(too_much(self.end));
            }
            let mut larger = vec![0; (self.end * 2).max(self.size)].into_boxed_slice();
            larger[..self.end].copy_from_slice(self.unread());
            self.buffer = larger;
        } else {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        Ok(())
    }
}

thread_local! {
    /// The buffer of the last request of this thread: clearing a new one costs more than a short request.
    static SPARE: Cell<Box<[u8]>> = Cell::default();
}

fn spare(size: usize) -> Box<[u8]> {
    let spare = SPARE.take();
    if spare.len() == size {
        spare
    } else {
        vec![0; size].into_boxed_slice()
    }
}

/// Keeps a buffer ready on this thread: a child that a fork makes here then need not make one.
pub(crate) fn warm(size: usize) {
    drop(Input {
        buffer: spare(size.max(1)),
        start: 0,
        end: 0,
        size,
        max_line: 0,
    });
}

impl Drop for Input {
    fn drop(&mut self) {
        // While a thread ends there is nobody to keep it for.
        let _ = SPARE.try_with(|spare| spare.set(std::mem::take(&mut self.buffer)));
    }
}

/// What the two readers have in common: an input, a link, and how they receive.
pub(crate) trait Source: Sized {
    fn input(&mut self) -> &mut Input;
    fn link(&self) -> &Link;

    /// Makes sure that something is in the buffer; zero bytes there is the end.
    fn fill(&mut self, span: &mut Span) -> io::Result<()>;

    fn took(&mut self, count: usize) {
        if count > 0 {
            let input = self.input();
            input.start = (input.start + count).min(input.end);
            self.link().owe();
        }
    }

    fn read_some(&mut self, into: &mut [u8], span: &mut Span) -> io::Result<usize> {
        if self.input().is_empty() && into.len() >= self.input().size {
            return self.read_past(into, span); // As much as the buffer would hold: straight to where it goes.
        }
        self.fill(span)?;
        let count = self.input().unread().len().min(into.len());
        into[..count].copy_from_slice(&self.input().unread()[..count]);
        self.took(count);
        Ok(count)
    }

    /// Receives without the buffer, which is empty.
    fn read_past(&mut self, into: &mut [u8], span: &mut Span) -> io::Result<usize>;

    fn read_all(&mut self, mut into: &mut [u8], span: &mut Span) -> io::Result<()> {
        while !into.is_empty() {
            match self.read_some(into, span)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => into = &mut into[count..],
            }
        }
        Ok(())
    }

    /// Appends up to and with `delimiter` to `line`, as one wait, at most `max` bytes. Of what is longer nothing is taken.
    fn read_delimited(
        &mut self,
        delimiter: u8,
        line: &mut Vec<u8>,
        max: usize,
    ) -> io::Result<usize> {
        let mut span = Span::default();
        let mut total = 0;
        loop {
            if self.input().is_empty() {
                self.fill(&mut span)?;
            }
            let unread = self.input().unread();
            let found = memchr::memchr(delimiter, unread);
            let count = found.map_or(unread.len(), |at| at + 1);
            if total + count > max {
                let start = line.len() - total;
                let all = [&line[start..], unread].concat();
                line.truncate(start);
                self.input().put(&all);
                return Err(too_long(max));
            }
            line.extend_from_slice(&unread[..count]);
            self.took(count);
            total += count;
            if found.is_some() || count == 0 {
                return Ok(total);
            }
        }
    }

    /// Appends all until the end to `into`, as one wait.
    fn read_rest(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let mut span = Span::default();
        let start = into.len();
        let mut end = start;
        let result = loop {
            if end == into.len() {
                let step = self.input().size.max(end - start).max(MORE);
                into.resize(end + step, 0);
            }
            match self.read_some(&mut into[end..], &mut span) {
                Ok(0) => break Ok(end - start),
                Ok(count) => end += count,
                Err(error) => break Err(error),
            }
        };
        into.truncate(end);
        result
    }

    /// Appends to `text` what `read` appends to its bytes.
    fn read_text(
        &mut self,
        text: &mut String,
        read: impl FnOnce(&mut Self, &mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut bytes = std::mem::take(text).into_bytes();
        let before = bytes.len();
        let result = read(self, &mut bytes);
        // As std does: what is not UTF-8 is not appended.
        let (whole, error) = match String::from_utf8(bytes) {
            Ok(whole) => (whole, None),
            Err(error) => {
                let why = io::Error::new(io::ErrorKind::InvalidData, error.utf8_error());
                let mut bytes = error.into_bytes();
                bytes.truncate(before);
                (String::from_utf8(bytes).unwrap_or_default(), Some(why))
            }
        };
        *text = whole;
        result.and_then(|count| error.map_or(Ok(count), Err))
    }

    fn read_counted(&mut self, count: usize) -> io::Result<Bytes> {
        let mut span = Span::default();
        let mut bytes = BytesMut::new();
        while bytes.len() < count {
            let start = bytes.len();
            bytes.resize(count.min(start + STEP), 0);
            self.read_all(&mut bytes[start..], &mut span)?;
        }
        Ok(bytes.freeze())
    }
}

fn too_long(max: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a line is longer than {max} bytes (`max_line`)"),
    )
}

fn too_much(unread: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("no descriptor came with {unread} bytes that nobody has read yet (`max_line`)"),
    )
}

/// A stream's way in: buffered, and tied to its way out.
///
/// A read that finds the buffer empty first flushes [`wfile`](crate::Stream::wfile), then asks the transport. A flush that
/// fails does not fail the read: the next write reports it. So both stay in one thread; halves for two come from
/// [`Stream::split`](crate::Stream::split).
#[derive(Debug)]
pub struct Rfile {
    pub(crate) input: Input,
    pub(crate) tie: Rc<Tie>,
}

impl Rfile {
    /// Receives some bytes although there are some; zero is the end.
    pub(super) fn receive_more(&mut self, span: &mut Span) -> io::Result<usize> {
        self.tie.flush_before_read();
        if !self.tie.is_open() {
            return Ok(0);
        }
        self.input.receive_more(self.tie.link(), span)
    }
}

impl Source for Rfile {
    fn input(&mut self) -> &mut Input {
        &mut self.input
    }

    fn link(&self) -> &Link {
        self.tie.link()
    }

    fn fill(&mut self, span: &mut Span) -> io::Result<()> {
        if self.input.is_empty() {
            self.tie.flush_before_read();
            if self.tie.is_open() {
                self.input.refill(self.tie.link(), span)?;
            }
        }
        Ok(())
    }

    fn read_past(&mut self, into: &mut [u8], span: &mut Span) -> io::Result<usize> {
        self.tie.flush_before_read();
        if !self.tie.is_open() {
            return Ok(0);
        }
        let count = self.tie.link().read(into, span)?;
        if count > 0 {
            self.link().owe();
        }
        Ok(count)
    }
}

/// A stream's way in, apart from its way out: `Send`, for a thread of its own. Made by [`Stream::split`](crate::Stream::split).
///
/// It is not tied: what the [`Writer`](crate::Writer) writes leaves by itself.
#[derive(Debug)]
pub struct Reader<'a> {
    pub(crate) input: &'a mut Input,
    pub(crate) link: &'a Link,
    /// Whether the request still had its stream when it was split.
    pub(crate) is_open: bool,
}

impl Source for Reader<'_> {
    fn input(&mut self) -> &mut Input {
        self.input
    }

    fn link(&self) -> &Link {
        self.link
    }

    fn fill(&mut self, span: &mut Span) -> io::Result<()> {
        if self.input.is_empty() && self.is_open {
            span.half = true;
            self.input.refill(self.link, span)?;
        }
        Ok(())
    }

    fn read_past(&mut self, into: &mut [u8], span: &mut Span) -> io::Result<usize> {
        if !self.is_open {
            return Ok(0);
        }
        span.half = true;
        let count = self.link.read(into, span)?;
        if count > 0 {
            self.link.owe();
        }
        Ok(count)
    }
}

macro_rules! reads {
    ($($ty:ty),*) => {$(
        impl $ty {
            /// Returns what was received and not yet taken, without waiting.
            #[must_use]
            pub fn buffer(&self) -> &[u8] {
                self.input.unread()
            }

            /// Reads exactly `count` bytes, as one wait.
            ///
            /// # Errors
            ///
            /// `UnexpectedEof` if the stream ends before, or what the transport says.
            pub fn read_bytes(&mut self, count: usize) -> io::Result<Bytes> {
                self.read_counted(count)
            }

            /// Reads one line of at most `max` bytes with its `\n`, as one wait. Empty at the end of the stream; without
            /// `\n` if the stream ends first.
            ///
            /// # Errors
            ///
            /// `InvalidData` if the line is longer, of which nothing is taken then, or what the transport says.
            pub fn read_line_bounded(&mut self, max: usize) -> io::Result<Bytes> {
                let mut line = Vec::new();
                self.read_delimited(b'\n', &mut line, max)?;
                Ok(line.into())
            }
        }

        impl Read for $ty {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.read_some(into, &mut Span::default())
            }

            fn read_exact(&mut self, into: &mut [u8]) -> io::Result<()> {
                self.read_all(into, &mut Span::default())
            }

            fn read_to_end(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
                self.read_rest(into)
            }

            fn read_to_string(&mut self, into: &mut String) -> io::Result<usize> {
                self.read_text(into, Self::read_rest)
            }
        }

        impl BufRead for $ty {
            fn fill_buf(&mut self) -> io::Result<&[u8]> {
                self.fill(&mut Span::default())?;
                Ok(self.input.unread())
            }

            fn consume(&mut self, count: usize) {
                self.took(count);
            }

            fn read_until(&mut self, delimiter: u8, line: &mut Vec<u8>) -> io::Result<usize> {
                let max = self.input.max_line;
                self.read_delimited(delimiter, line, max)
            }

            fn read_line(&mut self, line: &mut String) -> io::Result<usize> {
                let max = self.input.max_line;
                self.read_text(line, |source, line| source.read_delimited(b'\n', line, max))
            }
        }
    )*};
}
reads!(Rfile, Reader<'_>);
