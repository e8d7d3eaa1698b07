//! Commands: methods of a handler that are called by the words of a message. `#[command("GET")]` writes what is in here.
//!
//! ```
//! use sockserv::prelude::*;
//!
//! #[derive(Clone, Default)]
//! struct Account {
//!     user: Option<String>,
//!     total: i64,
//! }
//!
//! #[server(tcp, threading, addr = "127.0.0.1:0", lines(ending = any), ignore_case)]
//! impl Account {
//!     /// Says who speaks.
//!     #[command("USER", "LOGIN")]
//!     fn user(&mut self, name: &str) -> String {
//!         self.user = Some(name.to_owned());
//!         format!("hello, {name}")
//!     }
//!
//!     /// Adds numbers to the total.
//!     #[command("ADD", when = Self::is_known)]
//!     fn add(&mut self, numbers: Vec<i64>) -> i64 {
//!         self.total += numbers.iter().sum::<i64>();
//!         self.total
//!     }
//!
//!     /// Ends the session.
//!     #[command("QUIT")]
//!     fn quit(&mut self) -> Close<&'static str> {
//!         Close("bye")
//!     }
//!
//!     fn is_known(&self) -> bool {
//!         self.user.is_some()
//!     }
//!
//!     fn command_error(&mut self, error: &CommandError, replies: &mut Replies) -> io::Result<()> {
//!         replies.send(format!("? {error}"))
//!     }
//! }
//!
//! let server = AccountServer::bind(Account::default())?.spawn()?;
//! let mut client = server.connect()?;
//! client.write_all(b"add 1\nuser joe\nadd 1 2\nadd x\nquit\n")?;
//! let mut text = String::new();
//! client.read_to_string(&mut text)?;
//! let replies: Vec<_> = text.lines().collect();
//! assert_eq!(replies[0], "? \"ADD\" is not allowed now");
//! assert_eq!(replies[1..3], ["hello, joe", "3"]);
//! assert_eq!(replies[3], "? malformed \"numbers\" (invalid digit found in string): ADD [numbers...]");
//! assert_eq!(replies[4], "bye");
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # Verbs
//!
//! `#[command("MAIL FROM:", "SEND FROM:", when = Self::greeted)]`: one or more verbs, each of one or more words. The last
//! word of several may end with a mark (`:`), and its argument may then follow at once. `ignore_case` in the attribute
//! ignores the case of ASCII letters in verbs. `when` names a method that takes `&self` and says whether the command is
//! allowed now. `#[server]` finds two commands of the same name.
//!
//! # Words
//!
//! The words of a line are what stands between spaces and tabs; a line without words is ignored. With `quoting` in the
//! attribute `"two words"`, `'two words'` and `two\ words` are one word; in double quotes `\` takes the meaning from a
//! quote and itself. An own codec may make its messages `Vec<Bytes>`: those are words as they are.
//!
//! # Arguments
//!
//! | parameter | is |
//! |---|---|
//! | `&str`, `&[u8]`, [`Bytes`](bytes::Bytes) | a word, which is not copied; `&str` only if it is UTF-8 |
//! | any other type | a word, parsed by the type's `FromStr` |
//! | `Option<T>` | a word that may be missing |
//! | `Vec<T>`, `&[T]` | all words that are left, none included |
//! | [`Rest`] | the rest of the line as it stands, quotes included; the next word of an own codec's list |
//! | `&mut Stream` | the stream, to go on by hand: its `rfile` begins behind the command |
//! | `&mut Replies` | the replies, to send more than one |
//!
//! # Replies
//!
//! | returned | is answered with |
//! |---|---|
//! | anything that implements `Display` | one line; with an own codec `C`, whatever `C: Encoder<T>` makes of it |
//! | bytes (`Bytes`, `Vec<u8>`, `&[u8]`, `[u8; 4]`) | one line of them |
//! | `()` | nothing |
//! | [`Lines`] | a line for each |
//! | `Option<T>` | `T`, or [`CommandError::NotFound`] |
//! | `Result<T, E>` | `T`, or [`CommandError::Failed`]; after a method that took the stream an error ends the connection |
//! | [`Close<T>`](Close) | `T`, and the connection ends |
//!
//! An own codec that can encode an `Option` or a `Result` does that itself.
//!
//! # Opcodes
//!
//! A binary protocol says what it wants by a number. `opcode(u8)` in the attribute says how that is written, and with
//! `at = 2` how many bytes of a message stand before it: `u8`, `u16_be`, `u16_le`, `u32_be`, `u32_le` or `varint`.
//! `#[opcode(0x01)]` on a method takes one or more numbers, or constants; those of an enum as `Op::Read as u8`. It is given
//! what stands behind the opcode ([`Bytes`](bytes::Bytes) or `&[u8]`) and, if it wants a second one, what stands before;
//! `&mut Stream` and `&mut Replies` as above. Replies are those of commands, so a number is sent as text: for its bytes return
//! `number.to_be_bytes()`. What has no opcode that is known ends the connection, unless `command_error` makes something else
//! of it.
//!
//! ```
//! use sockserv::prelude::*;
//!
//! enum Op {
//!     Serial = 2,
//! }
//!
//! #[derive(Clone)]
//! struct Thermometer;
//!
//! #[server(tcp, threading, addr = "127.0.0.1:0", length_prefixed(u16_be, max = 64), opcode(u8))]
//! impl Thermometer {
//!     #[opcode(0x01)]
//!     fn read(&mut self, channel: &[u8]) -> Vec<u8> {
//!         [b"T", channel].concat()
//!     }
//!
//!     #[opcode(Op::Serial as u8)]
//!     fn serial(&mut self) -> [u8; 2] {
//!         258_u16.to_be_bytes()
//!     }
//!
//!     #[opcode(0xff)]
//!     fn reset(&mut self) {}
//! }
//!
//! let server = ThermometerServer::bind(Thermometer)?.spawn()?;
//! let mut client = server.connect()?;
//! client.write_all(b"\0\x01\xff\0\x02\x01A\0\x01\x02")?;
//! let mut replies = [0; 8];
//! client.read_exact(&mut replies)?;
//! assert_eq!(&replies, b"\0\x02TA\0\x02\x01\x02");
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # What is no command
//!
//! `fn command_error(&mut self, error: &CommandError, replies: &mut Replies<..>)` answers it. Without that method a line
//! `ERR` with the error is sent, cut to the framing's `max`, and the connection goes on. What `command_error` returns as an error ends the connection.

mod error;
mod opcode;
mod quoted;
mod reply;
mod words;

use std::error::Error;

pub use error::CommandError;
pub use opcode::OpcodeHandler;
#[doc(hidden)] // For generated code, as all that is hidden here.
pub use opcode::serve_opcode;
#[doc(hidden)]
pub use reply::{Answer, Encodes, Opens, Prints, Sends, Settles, Text};
pub use reply::{Close, Lines};
pub use words::{Argument, Rest, Sentence, Split, Words};

use crate::codec::FrameError;
use crate::error::Outcome;
use crate::message::{MessageHandler, Replies};

/// A handler whose methods are commands. `#[command("...")]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no commands",
    note = "write `#[command(\"GET\")]` on methods in the `impl` block that has `#[server(...)]`"
)]
pub trait CommandHandler: CommandErrors {
    /// The commands, in the order of the methods; one that a `#[cfg]` leaves out is empty.
    const COMMANDS: &'static [Command];
    /// The verbs, sorted by their first words; of several verbs with the same first word the longest comes first.
    const VERBS: &'static [Verb];
    /// Whether the case of verbs is ignored.
    const IGNORES_CASE: bool;
    /// Whether words may be quoted.
    const QUOTES: bool;

    /// Calls a command, by its place in [`COMMANDS`](Self::COMMANDS), and answers.
    ///
    /// # Errors
    ///
    /// What is wrong with the command, or went wrong in it.
    fn call(
        &mut self,
        command: usize,
        words: &mut Words<'_>,
        replies: &mut Replies<'_, Self::Framing>,
    ) -> Result<(), CommandError>;
}

/// What a handler with commands or opcodes does about messages that are none.
pub trait CommandErrors: MessageHandler {
    /// Answers what is no command.
    ///
    /// # Errors
    ///
    /// Whatever is to end the connection.
    fn command_error(
        &mut self,
        error: CommandError,
        replies: &mut Replies<'_, Self::Framing>,
    ) -> Outcome;
}

/// Answers what a command came to, if that is an error.
fn answered<H: CommandErrors>(
    handler: &mut H,
    result: Result<(), CommandError>,
    replies: &mut Replies<'_, H::Framing>,
) -> Outcome {
    match result {
        Ok(()) => Ok(()),
        Err(CommandError::Fatal(error)) => Err(error),
        Err(error) => handler.command_error(error, replies),
    }
}

/// What is known about a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its first verb.
    pub verb: &'static str,
    /// How it is written.
    pub usage: &'static str,
    /// What its documentation says, in one line.
    pub about: &'static str,
}

/// One of the names of a command.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Verb {
    /// The first word.
    pub first: &'static str,
    /// The words behind it.
    pub rest: &'static [&'static str],
    /// The command's place.
    pub command: usize,
}

/// Returns a line for each command of a handler: how it is written, and what its documentation says.
///
/// # Examples
///
/// ```
/// use sockserv::command::{self, Lines};
/// use sockserv::prelude::*;
///
/// #[derive(Clone)]
/// struct Clock;
///
/// #[server(udp, addr = "127.0.0.1:0", lines)]
/// impl Clock {
///     /// Lists the commands.
///     #[command("HELP")]
///     fn help(&mut self) -> Lines {
///         command::help::<Self>()
///     }
///
///     /// Waits for a time.
///     #[command("WAIT")]
///     fn wait(&mut self, _seconds: u32, _unit: Option<&str>) {}
/// }
///
/// let lines = command::help::<Clock>();
/// assert_eq!(lines.0, ["HELP - Lists the commands.", "WAIT seconds [unit] - Waits for a time."]);
/// # drop(ClockServer::bind(Clock)?);
/// # Ok::<(), io::Error>(())
/// ```
#[must_use]
pub fn help<H: CommandHandler>() -> Lines {
    let line = |command: &Command| match command.about {
        "" => command.usage.to_owned(),
        about => format!("{} - {about}", command.usage),
    };
    let existing = H::COMMANDS
        .iter()
        .filter(|command| !command.verb.is_empty());
    Lines(existing.map(line).collect())
}

/// Calls the command of a message, or says why there is none.
///
/// # Errors
///
/// What `command_error` returns; what a method that took the stream returned.
#[doc(hidden)]
pub fn serve_command<H, S>(
    handler: &mut H,
    message: S,
    replies: &mut Replies<'_, H::Framing>,
) -> Outcome
where
    H: CommandHandler,
    S: Sentence,
{
    let split = message.split(H::QUOTES);
    let mut words = split.words();
    if words.is_empty() {
        return Ok(());
    }
    let result = words.verb(H::VERBS, H::IGNORES_CASE).and_then(|command| {
        words.is_for(&H::COMMANDS[command]);
        handler.call(command, &mut words, replies)
    });
    answered(handler, result, replies)
}

/// Answers what is not even a message.
///
/// # Errors
///
/// What `command_error` returns.
#[doc(hidden)]
pub fn serve_frame_error<H, E>(
    handler: &mut H,
    error: E,
    replies: &mut Replies<'_, H::Framing>,
) -> Outcome
where
    H: CommandErrors,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let error: Box<dyn Error + Send + Sync> = error.into();
    match error.downcast() {
        Ok(error) => match *error {
            FrameError::Io(error) => Err(error.into()),
            error => handler.command_error(CommandError::Frame(error), replies),
        },
        Err(error) => Err(error),
    }
}

/// Answers what is no command, if the handler does not, with as much as the framing's `max` lets through.
///
/// # Errors
///
/// What the transport says.
#[doc(hidden)]
pub fn answer_error(
    error: &CommandError,
    replies: &mut Replies<'_, dyn crate::message::Frames>,
) -> Outcome {
    let mut text = format!("ERR {error}");
    match replies.send(&text).map_err(FrameError::from) {
        Err(FrameError::ReplyTooLong { max, .. }) => {
            let end = (0..=max).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
            Ok(replies.send(text)?)
        }
        sent => Ok(sent?),
    }
}

#[cfg(test)]
mod tests;
