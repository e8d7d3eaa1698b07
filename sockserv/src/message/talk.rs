//! The loop of a message handler, which can stop wherever no whole message is there.

use std::error::Error;

use super::{MessageHandler, Replies};
use crate::codec::Decoder;
use crate::error::Outcome;
use crate::request::{Received, Span, Stream};

type Failure = Box<dyn Error + Send + Sync>;

/// What is left of a connection between two messages: its codec, and half a message perhaps.
#[derive(Debug)]
pub(crate) struct Talk<C> {
    codec: C,
    received: Received,
    /// The wait for the next message.
    span: Span,
}

/// Where a talk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More has to come.
    Waits,
    /// There are no more messages.
    Ended,
}

/// Whether bytes that have not come yet are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Waits,
    None,
}

impl<C: Decoder<Error: Into<Failure>>> Talk<C> {
    pub(crate) fn new(codec: C) -> Self {
        Self {
            codec,
            received: Received::default(),
            span: Span::default(),
        }
    }

    /// Handles all messages until the end, waiting for each.
    pub(crate) fn run<H>(&mut self, handler: &mut H, stream: &mut Stream) -> Outcome
    where
        H: MessageHandler<Codec = C>,
    {
        self.advance(handler, stream, Patience::Waits).map(drop)
    }

    /// Handles what is there and what comes, as long as the patience lasts.
    pub(crate) fn advance<H>(
        &mut self,
        handler: &mut H,
        stream: &mut Stream,
        patience: Patience,
    ) -> Result<Progress, Failure>
    where
        H: MessageHandler<Codec = C>,
    {
        self.received.take_from(stream);
        let result = self.messages(handler, stream, patience);
        if !matches!(result, Ok(Progress::Waits)) {
            self.received.put_back(stream); // Whoever closes it must know that something is unread.
        }
        result
    }

    fn messages<H>(
        &mut self,
        handler: &mut H,
        stream: &mut Stream,
        patience: Patience,
    ) -> Result<Progress, Failure>
    where
        H: MessageHandler<Codec = C>,
    {
        let mut at_end = false;
        loop {
            let item = match at_end {
                false => self.codec.decode(&mut self.received.bytes),
                true => self.codec.decode_eof(&mut self.received.bytes),
            };
            match item {
                Ok(None) if at_end || self.codec.has_ended() => return Ok(Progress::Ended),
                Ok(None) => match self.receive(stream, patience)? {
                    None => return Ok(Progress::Waits),
                    Some(count) => at_end = count == 0,
                },
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
            false => stream.owe(),
        }
        Ok(closes || !stream.is_open())
    }

    /// Receives some bytes; none is the end, nothing is that they would have to be waited for.
    fn receive(
        &mut self,
        stream: &mut Stream,
        patience: Patience,
    ) -> Result<Option<usize>, Failure> {
        let _ = patience;
        let count = self.received.receive(&mut stream.rfile, &mut self.span)?;
        Ok(Some(count))
    }
}
