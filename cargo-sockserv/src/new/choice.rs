//! What there is to choose from, and what goes together.

use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use clap::builder::StyledStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Transport {
    /// A byte stream over IP
    Tcp,
    /// Packets over IP
    Udp,
    /// A byte stream between processes of this machine
    Unix,
    /// Packets between processes of this machine
    UnixDatagram,
    /// Both over IP, on one port
    #[value(name = "tcp+udp")]
    TcpUdp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Model {
    /// One after another
    Sync,
    /// A thread for each request
    Threading,
    /// One of a number of threads
    Pool,
    /// A child process for each request
    Forking,
    /// One of a number of processes
    Prefork,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Raw,
    Lines,
    Commands,
    LengthPrefixed,
    Http,
    /// The interface file.
    Rpc(PathBuf),
}

/// What a handler is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stream,
    Datagram,
    Either,
}

impl Kind {
    /// As the templates know it, and `sockserv::testing`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Datagram => "datagram",
            Self::Either => "either",
        }
    }
}

/// The name that is typed, and what it stands for.
pub(super) fn described<V: ValueEnum>(value: &V) -> String {
    let possible = value.to_possible_value().expect("none is skipped");
    entry(possible.get_name(), possible.get_help())
}

/// A line of a list to choose from.
pub(super) fn entry(name: &str, help: Option<&StyledStr>) -> String {
    match help {
        Some(help) => format!("{name:<13}  {help}"),
        None => name.to_owned(),
    }
}

impl Transport {
    fn name(self) -> String {
        self.to_possible_value()
            .expect("none is skipped")
            .get_name()
            .to_owned()
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Tcp | Self::Unix => Kind::Stream,
            Self::Udp | Self::UnixDatagram => Kind::Datagram,
            Self::TcpUdp => Kind::Either,
        }
    }

    pub(super) fn is_unix(self) -> bool {
        matches!(self, Self::Unix | Self::UnixDatagram)
    }

    /// Its words in the attribute.
    pub(super) fn words(self) -> &'static [&'static str] {
        match self {
            Self::Tcp => &["tcp"],
            Self::Udp => &["udp"],
            Self::Unix => &["unix"],
            Self::UnixDatagram => &["unix_datagram"],
            Self::TcpUdp => &["tcp", "udp"],
        }
    }
}

impl Model {
    /// Its word in the attribute.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Threading => "threading",
            Self::Pool => "pool",
            Self::Forking => "forking",
            Self::Prefork => "prefork",
        }
    }

    /// What happens to a request, as the end of a sentence.
    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Sync => "requests are served one after another",
            Self::Threading => "each request has a thread of its own",
            Self::Pool => "requests share a fixed number of threads",
            Self::Forking => "each request has a process of its own, and may crash there",
            Self::Prefork => "requests share a fixed number of processes",
        }
    }

    /// What a request that waits keeps waiting.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Sync => "everybody else",
            Self::Threading | Self::Pool => "a thread",
            Self::Forking | Self::Prefork => "a process",
        }
    }
}

impl Protocol {
    /// Those that need nothing else.
    pub(super) const PLAIN: [Self; 5] = [
        Self::Raw,
        Self::Lines,
        Self::Commands,
        Self::LengthPrefixed,
        Self::Http,
    ];

    /// Its word, which is also its template's.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Lines => "lines",
            Self::Commands => "commands",
            Self::LengthPrefixed => "length-prefixed",
            Self::Http => "http",
            Self::Rpc(_) => "rpc",
        }
    }

    /// Says why the two do not go together, if they do not.
    pub(super) fn check(&self, transport: Transport) -> Result<(), String> {
        if *self != Self::Http || transport.kind() == Kind::Stream {
            return Ok(());
        }
        Err(format!(
            "protocol `http` does not work over `{}`: its requests follow one another in a byte stream; \
             choose `--transport tcp` or `--transport unix`",
            transport.name(),
        ))
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(file) = text.strip_prefix("rpc=") {
            return Ok(Self::Rpc(file.into()));
        }
        let mut plain = Self::PLAIN.into_iter();
        plain
            .find(|protocol| protocol.name() == text)
            .ok_or_else(|| {
                let plain = Self::PLAIN.map(|protocol| format!("`{}`", protocol.name()));
                format!("there are {} and `rpc=FILE.x`", plain.join(", "))
            })
    }
}
