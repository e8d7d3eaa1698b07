//! [`Framed`]: a stream of messages in place of bytes.

use std::io::{self, Write};

use bytes::BytesMut;

use crate::codec::{Decoder, Encoder};
use crate::request::link::Span;
use crate::request::rfile::{Reader, Source};
use crate::request::stream::Stream;
use crate::request::wfile::{Wfile, Writer};

/// A stream as messages: its codec decodes what the peer sends, and encodes what it is sent. Made by [`Stream::framed`].
///
/// Reads and writes go by the stream's own rules: [`next`](Self::next) counts as one wait for `timeout`, and what was sent
/// leaves when a `next` finds no whole message received. What was received and not decoded goes back to
/// [`rfile`](crate::Stream::rfile) when this drops, so a handler can frame a part of its stream only.
///
/// Bytes are received where the frames are taken from; nothing is copied on the way.
///
/// # Examples
///
/// ```
/// use sockserv::codec::{Ending, Lines};
/// use sockserv::prelude::*;
///
/// #[derive(Clone)]
/// struct Shout;
///
/// #[server(tcp, threading, addr = "127.0.0.1:0")]
/// impl Shout {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         let mut lines = stream.framed(Lines::new(80).ending(Ending::CrLf));
///         while let Some(line) = lines.next()? {
///             lines.send(line.to_ascii_uppercase())?;
///         }
///         Ok(())
///     }
/// }
///
/// let server = ShoutServer::bind(Shout)?.spawn()?;
/// let mut client = server.connect()?;
/// client.write_all(b"one\r\ntwo\r\n")?;
/// let mut replies = [0; 10];
/// client.read_exact(&mut replies)?;
/// assert_eq!(&replies, b"ONE\r\nTWO\r\n");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug)]
pub struct Framed<'a, C> {
    intake: Intake<'a>,
    codec: C,
}

/// A stream whose way in is read here.
#[derive(Debug)]
struct Intake<'a> {
    stream: &'a mut Stream,
    received: Received,
}

/// What was received and not yet decoded, and the room for more. They are neighbours in one allocation, so that what is
/// received there need only be counted to what is before it.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) bytes: BytesMut,
    /// Its bytes have no meaning.
    room: BytesMut,
    /// How much is received at a time.
    size: usize,
    /// How long the allocation is: a long frame makes it longer than that.
    length: usize,
}

impl Stream {
    /// Returns the stream as messages of this codec, beginning with what was received and not yet read.
    ///
    /// See [`codec`](crate::codec) for those that are there, and for writing one.
    pub fn framed<C>(&mut self, codec: C) -> Framed<'_, C> {
        let mut received = Received::default();
        received.take_from(self);
        let intake = Intake {
            stream: self,
            received,
        };
        Framed { intake, codec }
    }
}

impl<'a, C> Framed<'a, C> {
    /// Waits for the next message; `None` is the end of the stream, or that the codec
    /// [has ended](Decoder::has_ended).
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes, and a further call goes on as the codec says; or what the transport says. A message
    /// that is there by half when the stream ends is [`Truncated`](crate::codec::FrameError::Truncated).
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator could not say `?` between a message and its end"
    )]
    pub fn next(&mut self) -> Result<Option<C::Item>, C::Error>
    where
        C: Decoder,
    {
        let Intake { stream, received } = &mut self.intake;
        received.next(&mut stream.rfile, &mut self.codec)
    }

    /// Sends a message, buffered as by [`wfile`](crate::Stream::wfile).
    ///
    /// # Errors
    ///
    /// If the codec cannot encode it, and nothing of it is sent then; or what the transport says.
    pub fn send<M>(&mut self, message: M) -> Result<(), C::Error>
    where
        C: Encoder<M>,
    {
        let Self { intake, codec } = self;
        let tie = &intake.stream.wfile.tie;
        tie.append(|unsent| codec.encode(message, unsent))
    }

    /// Sends what is buffered; needed only before waiting for something else than [`next`](Self::next).
    ///
    /// # Errors
    ///
    /// What the transport says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.intake.stream.wfile.flush()
    }

    /// Returns the stream: who the peer is, its senders, its socket. Its way in is empty meanwhile.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        self.intake.stream
    }

    /// Returns the way out, to write by hand between messages.
    pub fn wfile(&mut self) -> &mut Wfile {
        &mut self.intake.stream.wfile
    }

    /// Returns the codec.
    #[must_use]
    pub fn codec(&self) -> &C {
        &self.codec
    }

    /// Returns the codec.
    pub fn codec_mut(&mut self) -> &mut C {
        &mut self.codec
    }

    /// Returns what was received and not yet decoded.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.intake.received.bytes
    }

    /// Splits it for two threads at once, as [`Stream::split`] does. The writing half has a clone of the codec.
    ///
    /// The halves are not tied: each message leaves at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    ///
    /// use sockserv::codec::Lines;
    /// use sockserv::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Chat;
    ///
    /// #[server(tcp, threading, addr = "127.0.0.1:0")]
    /// impl Chat {
    ///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    ///         let mut lines = stream.framed(Lines::new(80));
    ///         let (mut reader, mut writer) = lines.split();
    ///         thread::scope(|scope| {
    ///             let greeting = scope.spawn(move || writer.send("welcome"));
    ///             while reader.next()?.is_some_and(|line| line != "bye") {}
    ///             greeting.join().unwrap()?;
    ///             Ok(())
    ///         })
    ///     }
    /// }
    ///
    /// let server = ChatServer::bind(Chat)?.spawn()?;
    /// let mut client = server.connect()?;
    /// client.write_all(b"bye\n")?;
    /// let mut text = String::new();
    /// client.read_to_string(&mut text)?;
    /// assert_eq!(text, "welcome\n");
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn split(&mut self) -> (FramedReader<'_, C>, FramedWriter<'_, C>)
    where
        C: Clone,
    {
        let codec = self.codec.clone();
        let (reader, writer) = self.intake.stream.split();
        let reader = FramedReader {
            reader,
            received: &mut self.intake.received,
            codec: &mut self.codec,
        };
        let writer = FramedWriter {
            writer,
            codec,
            message: BytesMut::new(),
        };
        (reader, writer)
    }

    /// Goes on with another codec made of this one, beginning with what was received and not yet decoded: behind SMTP's
    /// `DATA`, for example, other frames may have come already.
    pub fn map_codec<D>(self, make: impl FnOnce(C) -> D) -> Framed<'a, D> {
        Framed {
            intake: self.intake,
            codec: make(self.codec),
        }
    }

    /// Goes on with another codec, as long as nothing was received for it.
    ///
    /// For a change that a third party must not be able to forge, such as STARTTLS: what was received before the change
    /// would be taken as if it had come behind it (CVE-2011-0411, CVE-2021-23222).
    ///
    /// # Errors
    ///
    /// `InvalidData` if something was received that is not yet decoded; that goes back to
    /// [`rfile`](crate::Stream::rfile). The stream should be ended then.
    ///
    /// # Examples
    ///
    /// ```
    /// use sockserv::codec::{LengthPrefixed, Lines, Width};
    /// use sockserv::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Upgrade;
    ///
    /// #[server(tcp, threading, addr = "127.0.0.1:0")]
    /// impl Upgrade {
    ///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
    ///         let mut lines = stream.framed(Lines::new(80));
    ///         lines.next()?;
    ///         let mut frames = lines.change(LengthPrefixed::new(Width::U8, 80))?;
    ///         frames.send("go on")?;
    ///         while let Some(frame) = frames.next()? {
    ///             frames.send(frame)?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let server = UpgradeServer::bind(Upgrade)?.spawn()?;
    /// let mut client = server.connect()?;
    /// client.write_all(b"upgrade\n")?;
    /// let mut reply = [0; 6];
    /// client.read_exact(&mut reply)?;
    /// assert_eq!(&reply, b"\x05go on");
    ///
    /// let mut hasty = server.connect()?;
    /// hasty.write_all(b"upgrade\n\x05first")?;
    /// assert_eq!(hasty.read(&mut reply)?, 0);
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn change<D>(self, codec: D) -> io::Result<Framed<'a, D>> {
        let count = self.unread().len();
        if count > 0 {
            let text = format!("{count} bytes were received ahead of a change of the protocol");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(self.map_codec(|_| codec))
    }

    /// Returns the codec, and lets the stream go.
    ///
    /// It remembers what it has seen of the bytes that go back to the stream: clone the unused one to frame them again.
    pub fn into_codec(self) -> C {
        self.codec
    }
}

impl Drop for Intake<'_> {
    fn drop(&mut self) {
        self.received.put_back(self.stream);
    }
}

impl Received {
    /// Takes what the stream has received and nobody has read, with its buffer.
    pub(crate) fn take_from(&mut self, stream: &mut Stream) {
        let input = &mut stream.rfile.input;
        self.size = input.size();
        if self.bytes.is_empty() {
            (self.bytes, self.room) = input.take_buffer();
            self.length = self.bytes.len() + self.room.len();
        }
    }

    /// Gives the stream what was not decoded.
    pub(crate) fn put_back(&mut self, stream: &mut Stream) {
        if !self.bytes.is_empty() {
            stream.rfile.input.put(&self.bytes);
            self.bytes = BytesMut::new();
        }
    }

    /// Receives what is there, and whether that was all: `None` if nothing has come, zero bytes at the end.
    pub(crate) fn receive_now(&mut self, stream: &Stream) -> io::Result<Option<(usize, bool)>> {
        self.make_some_room();
        let count = stream.link().read_now(&mut self.room)?;
        Ok(count.map(|count| {
            let is_all = count < self.room.len();
            self.came(count);
            (count, is_all)
        }))
    }

    /// Lets the room go, as the stream may be silent for long, unless half a message fills most of it: that is not copied
    /// for each of its last bytes.
    pub(crate) fn shrink(&mut self) {
        if self.bytes.len() <= self.length / 2 {
            self.room = BytesMut::new();
            self.bytes = BytesMut::from(&*self.bytes);
            self.length = self.bytes.len();
        }
    }

    fn next<S: Source, D: Decoder>(
        &mut self,
        source: &mut S,
        decoder: &mut D,
    ) -> Result<Option<D::Item>, D::Error> {
        let mut span = Span::default();
        loop {
            if !self.bytes.is_empty() {
                // A message, or half of one: it is owed an answer, and what is left of it may be late.
                source.link().owe();
            }
            let item = decoder.decode(&mut self.bytes)?;
            if item.is_some() || decoder.has_ended() {
                return Ok(item);
            }
            if self.receive(source, &mut span)? == 0 {
                return decoder.decode_eof(&mut self.bytes);
            }
        }
    }

    pub(crate) fn receive<S: Source>(
        &mut self,
        source: &mut S,
        span: &mut Span,
    ) -> io::Result<usize> {
        self.make_some_room();
        let count = source.read_past(&mut self.room, span)?;
        self.came(count);
        Ok(count)
    }

    /// So much of the room has been filled.
    fn came(&mut self, count: usize) {
        self.bytes.unsplit(self.room.split_to(count));
    }

    fn make_some_room(&mut self) {
        let is_long = self.length > self.size && self.bytes.is_empty();
        if self.room.len() < self.size.div_ceil(4) || is_long {
            self.make_room();
        }
    }

    /// Makes room behind what is there. The rest of the old room is let go; frames may still live before it.
    fn make_room(&mut self) {
        self.room = BytesMut::new();
        let there = self.bytes.len();
        let length = if there > self.size / 2 {
            there + self.size
        } else {
            self.size
        };
        self.length = length;
        if there == 0 {
            self.bytes = BytesMut::zeroed(length);
        } else {
            self.bytes.resize(length, 0); // Moves to the front, if no frame lives there.
        }
        self.room = self.bytes.split_off(there);
    }
}

/// The messages of a stream, apart from its way out. Made by [`Framed::split`].
#[derive(Debug)]
pub struct FramedReader<'a, C> {
    reader: Reader<'a>,
    received: &'a mut Received,
    codec: &'a mut C,
}

impl<C: Decoder> FramedReader<'_, C> {
    /// Waits for the next message, as [`Framed::next`] does.
    ///
    /// # Errors
    ///
    /// Likewise.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator could not say `?` between a message and its end"
    )]
    pub fn next(&mut self) -> Result<Option<C::Item>, C::Error> {
        self.received.next(&mut self.reader, self.codec)
    }
}

/// A stream's way out for messages, apart from its way in. Made by [`Framed::split`].
#[derive(Debug)]
pub struct FramedWriter<'a, C> {
    writer: Writer<'a>,
    codec: C,
    message: BytesMut,
}

impl<'a, C> FramedWriter<'a, C> {
    /// Sends a message at once.
    ///
    /// # Errors
    ///
    /// If the codec cannot encode it, and nothing of it is sent then; or what the transport says.
    pub fn send<M>(&mut self, message: M) -> Result<(), C::Error>
    where
        C: Encoder<M>,
    {
        self.message.clear();
        self.codec.encode(message, &mut self.message)?;
        self.writer.write_all(&self.message)?;
        Ok(())
    }

    /// Returns the way out itself, to write by hand between messages or to send end-of-file.
    pub fn writer(&mut self) -> &mut Writer<'a> {
        &mut self.writer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn come(received: &mut Received, bytes: &[u8]) {
        received.room[..bytes.len()].copy_from_slice(bytes);
        received.came(bytes.len());
    }

    #[test]
    fn what_comes_is_where_it_was_received() {
        let mut received = Received {
            bytes: BytesMut::new(),
            room: BytesMut::new(),
            size: 64,
            length: 0,
        };
        received.make_room();
        let at = received.room.as_ptr();
        come(&mut received, b"one\ntw");
        let first = received.bytes.split_to(4).freeze();
        come(&mut received, b"o\n");
        let second = received.bytes.split_to(4).freeze();
        assert_eq!((&first[..], &second[..]), (&b"one\n"[..], &b"two\n"[..]));
        assert_eq!((first.as_ptr(), second.as_ptr()), (at, at.wrapping_add(4)));
        come(&mut received, b"half");
        received.make_room(); // While frames live in the old room.
        come(&mut received, b" and half");
        assert_eq!(received.bytes, "half and half");
        assert_eq!(received.bytes.len() + received.room.len(), 64);
        assert_eq!((&first[..], &second[..]), (&b"one\n"[..], &b"two\n"[..]));
    }

    #[test]
    fn half_a_long_message_is_not_copied_for_each_byte() {
        let mut received = Received {
            size: 64,
            ..Received::default()
        };
        received.make_room();
        come(&mut received, &[b'x'; 60]);
        received.make_some_room();
        come(&mut received, &[b'x'; 4]); // More than half of what there is now.
        let at = received.bytes.as_ptr();
        for _ in 0..30 {
            come(&mut received, b"x");
            received.shrink();
            received.make_some_room();
            assert_eq!(received.bytes.as_ptr(), at);
        }
        received.bytes.clear();
        received.shrink();
        assert_eq!(received.room.capacity() + received.bytes.capacity(), 0);
    }

    #[test]
    fn a_buffer_becomes_room_without_a_copy() {
        let mut input = crate::request::rfile::Input::new(8, 8);
        input.put(b"unread");
        let at = input.unread().as_ptr();
        let (bytes, room) = input.take_buffer();
        assert_eq!(
            (&bytes[..], bytes.as_ptr(), room.len()),
            (&b"unread"[..], at, 0)
        );
        assert!(input.unread().is_empty());
    }
}
