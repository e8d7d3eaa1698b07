//! Why a message is no command, or a command failed.

use std::error::Error;
use std::fmt::{self, Write};

use bytes::Bytes;

use super::Command;
use crate::codec::FrameError;

/// Why a message is no command, or a command failed: what `command_error` answers.
///
/// What it says is one line, and may be sent to the peer: a verb of his is shown escaped and not longer than 40 bytes,
/// and in what a type or a command says of itself control characters are escaped.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such command.
    Unknown {
        /// The first word.
        verb: Bytes,
    },
    /// There is no such opcode.
    UnknownOpcode {
        /// The number.
        opcode: u64,
    },
    /// The message ends before its opcode does.
    NoOpcode {
        /// How many bytes it has.
        length: usize,
    },
    /// The command is not allowed now: its `when` said so.
    Refused {
        /// The command.
        command: &'static Command,
    },
    /// An argument is missing.
    Missing {
        /// Its name.
        argument: &'static str,
        /// The command.
        command: &'static Command,
    },
    /// An argument makes no sense.
    Malformed {
        /// Its name.
        argument: &'static str,
        /// What its type says.
        why: String,
        /// The command.
        command: &'static Command,
    },
    /// There are words behind the last argument.
    TooMany {
        /// The command.
        command: &'static Command,
    },
    /// A quote is not closed.
    Unquoted,
    /// The command returned `None`.
    NotFound,
    /// The command returned an error.
    Failed(Box<dyn Error + Send + Sync>),
    /// It is no message at all.
    Frame(FrameError),
    /// The connection cannot go on.
    #[doc(hidden)]
    Fatal(Box<dyn Error + Send + Sync>),
}

impl CommandError {
    /// A failure that ends the connection.
    #[doc(hidden)]
    #[must_use]
    pub fn fatal(self) -> Self {
        match self {
            Self::Failed(error) => Self::Fatal(error),
            error => error,
        }
    }
}

/// How much of a peer's word is shown.
const SHOWN: usize = 40;

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { verb } => {
                let shown = verb[..verb.len().min(SHOWN)].escape_ascii();
                write!(f, "unknown command \"{shown}\"")
            }
            Self::UnknownOpcode { opcode } => write!(f, "unknown opcode {opcode:#04x}"),
            Self::NoOpcode { length } => write!(f, "a message of {length} bytes has no opcode"),
            Self::Refused { command } => write!(f, "\"{}\" is not allowed now", command.verb),
            Self::Missing { argument, command } => {
                write!(f, "missing \"{argument}\": {}", command.usage)
            }
            Self::Malformed {
                argument,
                why,
                command,
            } => {
                write!(f, "malformed \"{argument}\" (")?;
                escape_control(f, why)?;
                write!(f, "): {}", command.usage)
            }
            Self::TooMany { command } => write!(f, "too many arguments: {}", command.usage),
            Self::Unquoted => f.write_str("a quote is not closed"),
            Self::NotFound => f.write_str("not found"),
            Self::Failed(error) | Self::Fatal(error) => escape_control(f, &error.to_string()),
            Self::Frame(error) => error.fmt(f),
        }
    }
}

/// Writes what may quote a peer, and must not end a line of the reply.
fn escape_control(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|char| match char.is_control() {
        true => write!(f, "{}", char.escape_default()),
        false => f.write_char(char),
    })
}

impl Error for CommandError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) | Self::Fatal(error) => Some(&**error),
            Self::Frame(error) => Some(error),
            _ => None,
        }
    }
}
