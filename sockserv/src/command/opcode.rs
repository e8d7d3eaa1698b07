//! Opcodes: methods of a handler that are called by a number in a message. `#[opcode(0x01)]` writes what is in here.

use bytes::Bytes;

use super::{CommandError, CommandErrors, answered};
use crate::codec::Width;
use crate::error::Outcome;
use crate::message::Replies;

/// A handler whose methods are called by opcodes. `#[opcode(...)]` writes it.
pub trait OpcodeHandler: CommandErrors {
    /// How the opcode is written.
    const WIDTH: Width;
    /// How many bytes stand before it.
    const AT: usize;

    /// Calls the method of an opcode with what stands behind it and before it, and answers.
    ///
    /// # Errors
    ///
    /// That there is no such opcode, or what went wrong.
    fn call(
        &mut self,
        opcode: u64,
        payload: &Bytes,
        head: &Bytes,
        replies: &mut Replies<'_, Self::Framing>,
    ) -> Result<(), CommandError>;
}

/// Calls the method of a message's opcode, or says why there is none.
///
/// # Errors
///
/// What `command_error` returns; what a method that took the stream returned.
#[allow(clippy::needless_pass_by_value, reason = "as every message is passed")]
pub fn serve_opcode<H>(
    handler: &mut H,
    message: Bytes,
    replies: &mut Replies<'_, H::Framing>,
) -> Outcome
where
    H: OpcodeHandler,
{
    let result = match find(&message, H::WIDTH, H::AT) {
        Some((opcode, payload, head)) => handler.call(opcode, &payload, &head, replies),
        None => Err(CommandError::NoOpcode {
            length: message.len(),
        }),
    };
    answered(handler, result, replies)
}

/// Finds the opcode, what stands behind it, and what before it.
fn find(message: &Bytes, width: Width, at: usize) -> Option<(u64, Bytes, Bytes)> {
    let (opcode, own) = width.read(message.get(at..)?).ok()??;
    Some((opcode, message.slice(at + own..), message.slice(..at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opcode_stands_where_it_was_said() {
        let message = Bytes::from_static(b"\x01\x02\x03\x04");
        let found = |width, at| find(&message, width, at);
        let all = |opcode, payload: &'static [u8], head: &'static [u8]| {
            Some((opcode, Bytes::from(payload), Bytes::from(head)))
        };
        assert_eq!(found(Width::U8, 0), all(1, b"\x02\x03\x04", b""));
        assert_eq!(found(Width::U16Be, 1), all(0x0203, b"\x04", b"\x01"));
        assert_eq!(found(Width::U16Le, 2), all(0x0403, b"", b"\x01\x02"));
        assert_eq!(found(Width::U32Be, 1), None);
        assert_eq!(found(Width::U8, 4), None);
        assert_eq!(found(Width::U8, 5), None);
    }
}
