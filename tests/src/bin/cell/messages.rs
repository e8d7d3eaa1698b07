//! What a client may ask of a message handler, one command a message: by `fn message`, or by `#[command]`.

use std::fs::File;
use std::sync::OnceLock;

use sockserv::bytes::BytesMut;
use sockserv::codec::{Decoder, Encoder, FrameError, Lines, Overflow};
use sockserv::prelude::*;

use crate::flags::{invalid, number};
use crate::state::{Failure, State, counts, say};

/// How long a message may be.
pub(crate) const MAX: usize = 80;

static OVERFLOW: OnceLock<Overflow> = OnceLock::new();

/// Says what becomes of longer ones.
pub(crate) fn on_overflow(value: &str) -> io::Result<()> {
    let overflow = match value {
        "error" => Overflow::Error,
        "discard" => Overflow::Discard,
        "close" => Overflow::Close,
        _ => return Err(invalid(format!("`{value}` is nothing to do about a frame"))),
    };
    OVERFLOW.set(overflow).map_err(|_| invalid("said twice"))
}

/// An own codec: lines, and what becomes of those that are too long is known at run time only.
pub(crate) struct Chosen(Lines);

impl Default for Chosen {
    fn default() -> Self {
        let overflow = OVERFLOW.get().copied().unwrap_or_default();
        Self(Lines::new(MAX).on_overflow(overflow))
    }
}

impl Decoder for Chosen {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        self.0.decode(src)
    }

    fn has_ended(&self) -> bool {
        self.0.has_ended()
    }

    fn decode_packet(&mut self, packet: Bytes) -> Result<Option<Bytes>, FrameError> {
        self.0.decode_packet(packet)
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for Chosen {
    type Error = FrameError;

    fn encode(&mut self, item: T, dst: &mut BytesMut) -> Result<(), FrameError> {
        self.0.encode(item, dst)
    }
}

/// What stands in for `handle` when the attribute has a framing.
pub(crate) fn message(
    state: &mut State,
    message: &[u8],
    replies: &mut Replies<'_, Chosen>,
) -> Outcome {
    let text = String::from_utf8_lossy(message);
    let (name, rest) = text.split_once(' ').unwrap_or((&text, ""));
    match name {
        "echo" => replies.send(rest)?,
        "error" | "panic" => {
            replies.send(rest)?; // Not flushed.
            fail(name)?;
        }
        "send" => replies.send("x".repeat(number(rest)?))?,
        "finish-fails" => {
            state.finish = Failure::named(rest);
            replies.send("finish fails")?;
        }
        "stats" => replies.send(counts(replies.server()))?,
        "gate" => gate(rest, replies.peer_addr())?,
        "by-hand" => {
            let line = by_hand(replies)?;
            replies.send(line)?;
        }
        "bye" => {
            replies.close();
            replies.send("bye")?;
        }
        _ => replies.send(format!("? unknown `{name}`"))?,
    }
    Ok(())
}

/// What is wrong is answered, unless the connection ends with it.
pub(crate) fn frame_error(error: FrameError, replies: &mut Replies<'_, Chosen>) -> Outcome {
    match (&error, OVERFLOW.get()) {
        (FrameError::TooLong { .. }, Some(Overflow::Error)) => {
            Ok(replies.send(format!("? {error}"))?)
        }
        _ => Err(error.into()),
    }
}

/// Waits until somebody opens the pipe.
pub(crate) fn gate(path: &str, peer: &Address) -> io::Result<()> {
    say("waiting", &[("peer", peer)]);
    File::open(path).map(drop)
}

/// Reads one line from the stream itself.
pub(crate) fn by_hand<C: ?Sized>(replies: &mut Replies<'_, C>) -> io::Result<String> {
    let line = replies.with_stream(|stream| {
        let mut line = String::new();
        stream.rfile.read_line(&mut line).map(|_| line)
    });
    match line {
        Some(line) => line.map(|line| format!("by hand: {}", line.trim_end())),
        None => Ok("a packet".to_owned()),
    }
}

/// Fails behind a reply.
pub(crate) fn fail(name: &str) -> Outcome {
    Failure::named(name).expect("it is one").happen("message")
}

/// The two message handlers of a cell.
macro_rules! talkers {
    ($kind:ident, $transport:ident, $model:ident) => {
        use crate::messages::{self, Chosen};

        #[derive(Clone)]
        pub(crate) struct Framed(pub(crate) State);

        #[server($transport, $model, vis = pub(crate), codec = Chosen)]
        impl Framed {
            fn setup(&mut self, request: &mut $kind) {
                self.0.used = true;
                crate::state::step("setup", request.peer_addr());
            }

            fn message(&mut self, line: Bytes, replies: &mut Replies<Chosen>) -> Outcome {
                messages::message(&mut self.0, &line, replies)
            }

            fn frame_error(&mut self, error: FrameError, replies: &mut Replies<Chosen>) -> Outcome {
                messages::frame_error(error, replies)
            }

            fn finish(&mut self, request: &mut $kind) -> Outcome {
                crate::state::Scenario::finish(request, &mut self.0)
            }

            fn handle_error(&mut self, error: &RequestError, peer: &Address) {
                self.0.handle_error(error, peer);
            }
        }

        #[derive(Clone)]
        pub(crate) struct Commands(pub(crate) State);

        #[server($transport, $model, vis = pub(crate), lines(max = messages::MAX), ignore_case)]
        impl Commands {
            fn setup(&mut self, request: &mut $kind) {
                self.0.used = true;
                crate::state::step("setup", request.peer_addr());
            }

            #[command("ECHO")]
            fn echo<'a>(&mut self, text: Rest<'a>) -> &'a str {
                text.0
            }

            #[command("ERROR")]
            fn error(&mut self, half: &str) -> Result<(), String> {
                Err(half.to_owned())
            }

            #[command("PANIC")]
            fn panic(&mut self, half: &str, replies: &mut Replies) -> Outcome {
                replies.send(half)?;
                messages::fail("panic")
            }

            #[command("FINISH-FAILS")]
            fn finish_fails(&mut self, how: &str) -> &'static str {
                self.0.finish = Failure::named(how);
                "finish fails"
            }

            #[command("SEND")]
            fn send(&mut self, count: usize) -> String {
                "x".repeat(count)
            }

            #[command("STATS")]
            fn stats(&mut self, replies: &mut Replies) -> io::Result<()> {
                replies.send(crate::state::counts(replies.server()))
            }

            #[command("GATE")]
            fn gate(&mut self, path: &str, replies: &mut Replies) -> io::Result<()> {
                messages::gate(path, replies.peer_addr())
            }

            #[command("BY-HAND")]
            fn by_hand(&mut self, replies: &mut Replies) -> io::Result<()> {
                let line = messages::by_hand(replies)?;
                replies.send(line)
            }

            #[command("SUM")]
            fn sum(&mut self, numbers: Vec<u64>) -> Option<u64> {
                numbers.into_iter().reduce(|a, b| a + b)
            }

            #[command("SECRET", when = Self::is_told)]
            fn secret(&mut self) {}

            #[command("BYE")]
            fn bye(&mut self) -> Close<&'static str> {
                Close("bye")
            }

            fn is_told(&self) -> bool {
                false
            }

            fn command_error(
                &mut self,
                error: &CommandError,
                replies: &mut Replies,
            ) -> io::Result<()> {
                replies.send(format!("? {error}"))
            }

            fn finish(&mut self, request: &mut $kind) -> Outcome {
                crate::state::Scenario::finish(request, &mut self.0)
            }

            fn handle_error(&mut self, error: &RequestError, peer: &Address) {
                self.0.handle_error(error, peer);
            }
        }
    };
}
pub(crate) use talkers;
