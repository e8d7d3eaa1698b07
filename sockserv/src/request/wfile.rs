//! [`Wfile`], the buffered way out, and [`Writer`], which sends each write at once.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Buf, BytesMut};

use crate::request::link::Link;
use crate::request::rate::Pace;

/// On a thread that is lent, writes are buffered until this much is unsent.
const MAX_BUFFERED: usize = 1 << 20;

/// What ties a stream's two files: reading flushes what is unsent.
pub(crate) struct Tie {
    link: Arc<Link>,
    unsent: RefCell<BytesMut>,
    /// The buffer's size; a write that does not fit is sent, waiting for the peer.
    size: Cell<usize>,
    /// Whether the thread is lent: while at most `size` bytes are unsent, a write of any length is buffered.
    is_lent: Cell<bool>,
    /// A flush that failed before a read; the next write reports it.
    failed: Cell<Option<io::Error>>,
    /// Whether the request still has its stream: not after it was handed to somebody else.
    open: Cell<bool>,
}

impl Tie {
    pub(crate) fn new(link: Arc<Link>, size: usize) -> Self {
        Self {
            link,
            unsent: RefCell::default(),
            size: Cell::new(size),
            is_lent: Cell::new(false),
            failed: Cell::new(None),
            open: Cell::new(true),
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.get()
    }

    /// The stream has a new owner; returns what was not sent yet.
    pub(crate) fn hand_over(&self) -> BytesMut {
        self.open.set(false);
        self.unsent.take()
    }

    /// The hand-over failed, and nothing has changed.
    pub(crate) fn take_back(&self, unsent: BytesMut) {
        self.open.set(true);
        self.unsent.replace(unsent);
    }

    pub(crate) fn take_unsent(&self) -> BytesMut {
        self.unsent.take()
    }

    pub(crate) fn has_much_unsent(&self) -> bool {
        self.unsent.borrow().len() > self.link.requests().options.wbufsize
    }

    pub(crate) fn buffer_more(&self) {
        self.size.set(self.size.get().max(MAX_BUFFERED));
        self.is_lent.set(true);
    }

    /// Whether so much more is to be buffered behind what is.
    fn has_room(&self, unsent: usize, more: usize) -> bool {
        match self.is_lent.get() {
            true => unsent <= self.size.get(),
            false => unsent + more <= self.size.get(),
        }
    }

    /// Sends what the peer takes at once; returns whether that is all.
    pub(crate) fn send_now(&self, pace: &mut Pace) -> io::Result<bool> {
        self.report()?;
        let mut unsent = self.unsent.borrow_mut();
        match self.link.outgoing.get() {
            _ if unsent.is_empty() => Ok(true),
            None => self.send_now_from(&mut unsent, pace),
            Some(outgoing) => outgoing.send_now(|| self.send_now_from(&mut unsent, pace)),
        }
    }

    fn send_now_from(&self, unsent: &mut BytesMut, pace: &mut Pace) -> io::Result<bool> {
        while !unsent.is_empty() {
            match self.link.send_now(unsent, pace)? {
                Some(count) => unsent.advance(count),
                None => return Ok(false),
            }
        }
        *unsent = BytesMut::new();
        Ok(true)
    }

    pub(crate) fn put(&self, unsent: &[u8]) {
        self.unsent.borrow_mut().extend_from_slice(unsent);
    }

    pub(crate) fn flush_before_read(&self) {
        if let Err(error) = self.send_unsent() {
            self.failed.set(Some(error));
        }
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        self.report()?;
        self.send_unsent()
    }

    fn send_unsent(&self) -> io::Result<()> {
        let mut unsent = self.unsent.borrow_mut();
        if unsent.is_empty() {
            return Ok(());
        }
        let result = self.link.write_all(&unsent, &[]);
        unsent.clear();
        result
    }

    fn report(&self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn check(&self) -> io::Result<()> {
        self.report()?;
        check_open(self.is_open())
    }

    /// Lets `append` write behind what is buffered, where it need not be copied from; if it fails, what it wrote is taken
    /// back. What is more than the buffer may hold is sent at once.
    pub(crate) fn append<E: From<io::Error>>(
        &self,
        append: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check()?;
        let mut unsent = self.unsent.borrow_mut();
        let before = unsent.len();
        if let Err(error) = append(&mut unsent) {
            unsent.truncate(before);
            return Err(error);
        }
        if unsent.len() > before {
            self.link.owe_nothing();
        }
        if !self.has_room(before, unsent.len() - before) {
            let result = self.link.write_all(&unsent, &[]);
            *unsent = BytesMut::new(); // A single great message does not keep its memory.
            result?;
        }
        Ok(())
    }

    /// Buffers all of `bytes`, or sends them behind what is buffered.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.check()?;
        if bytes.is_empty() {
            return Ok(());
        }
        self.link.owe_nothing();
        let mut unsent = self.unsent.borrow_mut();
        let size = self.size.get();
        if self.has_room(unsent.len(), bytes.len()) {
            if unsent.capacity() == 0 {
                unsent.reserve(bytes.len().max(size.min(512)));
            }
            unsent.extend_from_slice(bytes);
            return Ok(());
        }
        if bytes.len() >= size {
            let result = self.link.write_all(&unsent, bytes);
            unsent.clear();
            return result;
        }
        // One write stays whole in the buffer, so that no sender's message can come into its middle.
        let result = self.link.write_all(&unsent, &[]);
        unsent.clear();
        unsent.extend_from_slice(bytes);
        result
    }
}

/// What a request may still send once somebody else has its stream: nothing.
pub(super) fn check_open(is_open: bool) -> io::Result<()> {
    match is_open {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::BrokenPipe,
            "the stream was handed over",
        )),
    }
}

impl fmt::Debug for Tie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tie")
            .field("link", &self.link)
            .field("unsent", &self.unsent.borrow().len())
            .finish_non_exhaustive()
    }
}

/// A stream's way out: buffered, flushed when a read is about to wait, when `handle` ends, or by hand.
///
/// Every write takes all it is given. Flush by hand only before waiting for something else than [`rfile`](crate::Stream::rfile).
#[derive(Debug)]
pub struct Wfile {
    pub(crate) tie: Rc<Tie>,
}

impl Write for Wfile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tie.write(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tie.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tie.flush()
    }
}

/// A stream's way out, apart from its way in: `Send`, for a thread of its own. Made by [`Stream::split`](crate::Stream::split).
///
/// Each write is sent at once and whole; there is nothing to flush.
#[derive(Debug)]
pub struct Writer<'a> {
    pub(crate) link: &'a Link,
    pub(crate) failed: Option<io::Error>,
    /// Whether the request still had its stream when it was split.
    pub(crate) is_open: bool,
}

impl Writer<'_> {
    /// Sends end-of-file: the peer reads what was written and then the end, while the other direction stays open.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer has left, `BrokenPipe` if the stream was handed over before it was split.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        check_open(self.is_open)?;
        self.link.transport.shutdown(Shutdown::Write)
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        check_open(self.is_open)?;
        self.link.owe_nothing();
        self.link.write_all(bytes, &[])?;
        self.link.may_be_idle();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }
}
