//! The loop of a message handler, which can stop wherever no whole message is there.

use std::any::Any;
use std::error::Error;
use std::fmt;

use bytes::BytesMut;

use super::{MessageHandler, Replies};
use crate::codec::Decoder;
use crate::error::Outcome;
use crate::request::{Live as _, Pace, Received, Span, Stream};

type Failure = Box<dyn Error + Send + Sync>;

/// What is left of a connection between two messages: its codec, and half a message perhaps.
#[derive(Debug)]
pub(crate) struct Talk<C> {
    codec: C,
    received: Received,
    /// The wait for the next message.
    span: Span,
    /// Whether everything that had come was received.
    is_dry: bool,
    /// What the peer has not taken yet.
    unsent: BytesMut,
    /// The wait for it to take some.
    pace: Pace,
}

/// Where a talk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More has to come.
    Waits,
    /// The peer has to take what was sent.
    Chokes,
    /// More is there, and others are to have their turn first.
    Yields,
    /// There are no more messages.
    Ended,
}

/// How many messages a connection may have handled before others have their turn.
const MESSAGES_PER_TURN: usize = 256;

/// Whose the thread is that handles messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thread {
    /// The connection's: it waits for bytes that have not come yet.
    Own,
    /// It is given back instead.
    Lent,
}

/// A talk, whatever its codec. It does not know the handler either, which may borrow, and may be part of another one.
pub(crate) type AnyTalk = Box<dyn Any + Send>;

/// How a handler's talks begin and go on.
pub struct Talks<H> {
    pub(crate) begin: fn(&H) -> AnyTalk,
    /// Handles the messages that are there, and on a thread of its own those that it waits for.
    pub(crate) advance: Advance<H>,
    /// Sends what is left in the end: on a lent thread as far as the peer takes it at once. Returns whether that is all.
    pub(crate) send_last: SendLast,
}

type SendLast = fn(&mut AnyTalk, &mut Stream, Thread) -> Result<bool, Failure>;
type Advance<H> = fn(&mut AnyTalk, &mut H, &mut Stream, Thread) -> Result<Progress, Failure>;

impl<H: MessageHandler> Talks<H> {
    /// Those of a message handler.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "generated code alone makes it")]
    pub fn new() -> Self {
        Self {
            begin: |handler| Box::new(Talk::new(handler.codec())),
            advance: |talk, handler, stream, thread| {
                Talk::<H::Codec>::of(talk)?.advance(handler, stream, thread)
            },
            send_last: |talk, stream, thread| Talk::<H::Codec>::of(talk)?.send_last(stream, thread),
        }
    }
}

impl<H> Clone for Talks<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Talks<H> {}

impl<H> fmt::Debug for Talks<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talks").finish_non_exhaustive()
    }
}

impl<C: Decoder<Error: Into<Failure>> + 'static> Talk<C> {
    fn of(talk: &mut AnyTalk) -> Result<&mut Self, Failure> {
        let talk = talk.downcast_mut();
        talk.ok_or_else(|| "a talk goes on with another handler".into())
    }

    pub(crate) fn new(codec: C) -> Self {
        Self {
            codec,
            received: Received::default(),
            span: Span::default(),
            is_dry: false,
            unsent: BytesMut::new(),
            pace: Pace::default(),
        }
    }

    /// Handles all messages until the end, waiting for each.
    pub(crate) fn run<H>(&mut self, handler: &mut H, stream: &mut Stream) -> Outcome
    where
        H: MessageHandler<Codec = C>,
    {
        self.go_on(handler, stream, Thread::Own).map(drop)
    }

    fn advance<H>(
        &mut self,
        handler: &mut H,
        stream: &mut Stream,
        thread: Thread,
    ) -> Result<Progress, Failure>
    where
        H: MessageHandler<Codec = C>,
    {
        self.resume(stream);
        self.is_dry = false;
        let progress = self.go_on(handler, stream, thread)?;
        if progress != Progress::Ended {
            self.unsent = stream.take_unsent();
        }
        Ok(progress)
    }

    /// Sends the last replies, and what senders have queued; returns whether that is all.
    fn send_last(&mut self, stream: &mut Stream, thread: Thread) -> Result<bool, Failure> {
        self.resume(stream);
        self.received.put_back(stream); // Whoever closes it must know that something is unread.
        if thread == Thread::Own {
            stream.reply()?;
            return Ok(true);
        }
        if !self.send_now(stream)? {
            self.pause(stream);
            return Ok(false);
        }
        let is_all = stream.send_queue_now()?;
        if !is_all {
            stream.link().wait_unattended_for_room(&mut self.pace);
            self.pause(stream);
        }
        Ok(is_all)
    }

    /// Keeps what the stream has, until it goes on.
    fn pause(&mut self, stream: &mut Stream) {
        self.unsent = stream.take_unsent();
        self.received.take_from(stream);
        self.received.shrink();
    }

    /// Goes on with a stream, on a thread again.
    fn resume(&mut self, stream: &Stream) {
        stream.link().attend(&mut self.span, &mut self.pace);
        if !self.unsent.is_empty() {
            stream.take_back(std::mem::take(&mut self.unsent)); // Else what `setup` wrote may be there.
        }
    }

    /// Sends what is buffered; `false` if the peer has to take some of it first.
    fn send(&mut self, stream: &Stream, thread: Thread) -> Result<bool, Failure> {
        if thread == Thread::Own {
            return Ok(true); // A read that waits sends it, or the end.
        }
        self.send_now(stream)
    }

    fn send_now(&mut self, stream: &Stream) -> Result<bool, Failure> {
        let is_sent = stream.send_now(&mut self.pace)?;
        if is_sent {
            self.pace = Pace::default();
        } else {
            stream.link().wait_unattended_for_room(&mut self.pace);
        }
        Ok(is_sent)
    }

    /// Handles what is there and what comes, if it is waited for.
    fn go_on<H>(
        &mut self,
        handler: &mut H,
        stream: &mut Stream,
        thread: Thread,
    ) -> Result<Progress, Failure>
    where
        H: MessageHandler<Codec = C>,
    {
        self.received.take_from(stream);
        let result = self.messages(handler, stream, thread);
        if matches!(result, Ok(Progress::Ended) | Err(_)) {
            self.received.put_back(stream); // Whoever closes it must know that something is unread.
        }
        result
    }

    fn messages<H>(
        &mut self,
        handler: &mut H,
        stream: &mut Stream,
        thread: Thread,
    ) -> Result<Progress, Failure>
    where
        H: MessageHandler<Codec = C>,
    {
        let (mut at_end, mut left) = (false, MESSAGES_PER_TURN);
        loop {
            if stream.has_much_unsent() && !self.send(stream, thread)? {
                return Ok(Progress::Chokes); // Who does not take the replies is not read from.
            }
            if thread == Thread::Lent {
                if left == 0 {
                    let is_sent = self.send(stream, thread)?;
                    return Ok(if is_sent {
                        Progress::Yields
                    } else {
                        Progress::Chokes
                    });
                }
                left -= 1;
            }
            let item = match at_end {
                false => self.codec.decode(&mut self.received.bytes),
                true => self.codec.decode_eof(&mut self.received.bytes),
            };
            match item {
                Ok(None) if at_end || self.codec.has_ended() => return Ok(Progress::Ended),
                Ok(None) => {
                    if !self.send(stream, thread)? {
                        return Ok(Progress::Chokes);
                    }
                    match self.receive(stream, thread)? {
                        None => return Ok(Progress::Waits),
                        Some(count) => at_end = count == 0,
                    }
                }
                item => {
                    if self.handle(handler, stream, item)? {
                        return Ok(Progress::Ended);
                    }
                }
            }
        }
    }

    /// Handles one message, or what is none; returns whether it was the last.
    fn handle<H>(
        &mut self,
        handler: &mut H,
        stream: &mut Stream,
        item: Result<Option<C::Item>, C::Error>,
    ) -> Result<bool, Failure>
    where
        H: MessageHandler<Codec = C>,
    {
        self.span = Span::default();
        let mut closes = false;
        let framing = H::framing(&mut self.codec);
        let mut replies = Replies::of_stream(stream, &mut self.received, framing, &mut closes);
        match item {
            Ok(Some(message)) => handler.message(message, &mut replies)?,
            Ok(None) => {}
            Err(error) => handler.frame_error(error, &mut replies)?,
        }
        match self.received.bytes.is_empty() {
            true => stream.idle(), // Everything that has come is handled.
            false => stream.link().owe(),
        }
        Ok(closes || !stream.is_open())
    }

    /// Receives some bytes: `None` if nothing has come, zero at the end.
    fn receive(&mut self, stream: &mut Stream, thread: Thread) -> Result<Option<usize>, Failure> {
        let (received, span) = (&mut self.received, &mut self.span);
        if !received.bytes.is_empty() {
            stream.link().owe(); // Half a message.
        }
        if thread == Thread::Own {
            return Ok(Some(received.receive(&mut stream.rfile, span)?));
        }
        let came = match self.is_dry && !stream.server().is_shutting_down() {
            true => None, // The poller knows whether more has come since.
            false => received.receive_now(stream)?,
        };
        match came {
            Some((count, is_all)) => {
                self.is_dry = is_all && count > 0;
                Ok(Some(count))
            }
            None => {
                received.shrink();
                stream.link().wait_unattended(span);
                Ok(None)
            }
        }
    }
}
