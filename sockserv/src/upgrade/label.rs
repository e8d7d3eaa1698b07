//! [`Label`]: what a listening socket is known by, in this process and in the next.

use std::os::fd::RawFd;
#[cfg(feature = "upgrade")]
use std::{fmt, io, str::FromStr};

/// How a server came to a socket: what its successor asks for by the same words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// A server bound it, at this port, which may be 0. A path that is the server's own is this file.
    Bound { port: u16, file: Option<(u64, u64)> },
    /// systemd handed it over, as number `index` of all, under this name.
    Systemd { index: usize, name: String },
    /// The endpoint named it: `fd:3`.
    Numbered(RawFd),
}

impl Label {
    /// The name that systemd gave.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Systemd { name, .. } => Some(name),
            _ => None,
        }
    }
}

#[cfg(feature = "upgrade")]
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound { port, file: None } => write!(f, "bound {port}"),
            Self::Bound {
                port,
                file: Some((device, inode)),
            } => write!(f, "bound {port} {device} {inode}"),
            Self::Systemd { index, name } => write!(f, "systemd {index} {name}"),
            Self::Numbered(fd) => write!(f, "fd {fd}"),
        }
    }
}

#[cfg(feature = "upgrade")]
impl FromStr for Label {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Self> {
        let parse = || {
            let (word, rest) = text.split_once(' ')?;
            match word {
                "bound" => {
                    let mut numbers = rest.split(' ');
                    let port = numbers.next()?.parse().ok()?;
                    let mut number = || numbers.next()?.parse::<u64>().ok();
                    let file = number().zip(number());
                    Some(Self::Bound { port, file })
                }
                "systemd" => {
                    let (index, name) = rest.split_once(' ')?;
                    let (index, name) = (index.parse().ok()?, name.to_owned());
                    Some(Self::Systemd { index, name })
                }
                "fd" => rest.parse().ok().map(Self::Numbered),
                _ => None,
            }
        };
        parse().ok_or_else(|| {
            let text = format!("the process before this one calls a socket `{text}`");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }
}

#[cfg(all(test, feature = "upgrade"))]
mod tests {
    use super::*;

    #[test]
    fn labels_arrive_as_they_were_sent() {
        let file = Some((u64::MAX, 1));
        let name = "a name with spaces".to_owned();
        for label in [
            Label::Bound {
                port: 0,
                file: None,
            },
            Label::Bound { port: 65535, file },
            Label::Systemd { index: 3, name },
            Label::Systemd {
                index: 0,
                name: String::new(),
            },
            Label::Numbered(7),
        ] {
            assert_eq!(label.to_string().parse::<Label>().unwrap(), label);
        }
        for wrong in ["", "bound", "bound x", "systemd 1", "fd -", "other 1"] {
            assert!(wrong.parse::<Label>().is_err(), "{wrong}");
        }
    }
}
