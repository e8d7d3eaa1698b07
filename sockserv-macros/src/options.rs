//! Which option fits which transport and which model: the one table.

/// Where requests come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    Tcp,
    Udp,
    Unix,
    UnixDatagram,
}

impl Transport {
    pub(crate) const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Unix, Self::UnixDatagram];

    /// Returns the word in the attribute.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::UnixDatagram => "unix_datagram",
        }
    }

    /// Returns the runtime's word for it.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Tcp => "Tcp",
            Self::Udp => "Udp",
            Self::Unix => "Unix",
            Self::UnixDatagram => "UnixDatagram",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|transport| transport.word() == word)
    }

    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Unix)
    }

    pub(crate) fn is_unix(self) -> bool {
        matches!(self, Self::Unix | Self::UnixDatagram)
    }

    /// Returns the column of the table.
    pub(crate) fn column(self) -> u8 {
        match self {
            Self::Tcp => TCP,
            Self::Udp => UDP,
            Self::Unix => UNIX,
            Self::UnixDatagram => UNIX_DATAGRAM,
        }
    }
}

/// What the option's value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A whole number between the two, both included.
    Number(u64, u64),
    /// Bytes: a whole number or `"64 KiB"`, at least this many.
    Size(u64),
    /// `"30s"`.
    Duration(Zero),
    /// `"30s"` or `none`.
    Timeout(Zero),
    /// `true`, `false`, or the word alone.
    Flag,
    /// `0o660`.
    Mode,
}

/// Whether no time at all can work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Zero {
    Works,
    CannotWork,
}

/// Whose option it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// The server's, under every model.
    Server,
    /// Written as `threading(max = 1000)`.
    Threading,
    /// Written as `forking(max_children = 40)`.
    Forking,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The columns in which it fits.
    pub(crate) fits: u8,
    pub(crate) owner: Owner,
    /// A value that shows how it is written.
    pub(crate) example: &'static str,
}

pub(crate) const TCP: u8 = 1;
pub(crate) const UDP: u8 = 2;
pub(crate) const UNIX: u8 = 4;
pub(crate) const UNIX_DATAGRAM: u8 = 8;
/// A listener of the user's own that hands out streams.
pub(crate) const OWN_STREAMS: u8 = 16;
/// A listener of the user's own that hands out datagrams.
pub(crate) const OWN_DATAGRAMS: u8 = 32;

const ANY: u8 = STREAMS | DATAGRAMS;
const STREAMS: u8 = TCP | UNIX | OWN_STREAMS;
const DATAGRAMS: u8 = UDP | UNIX_DATAGRAM | OWN_DATAGRAMS;

const COUNT: Kind = Kind::Number(1, u64::MAX);
const BACKLOG: Kind = Kind::Number(0, i32::MAX as u64); // listen(2) takes an `int`.

/// Every option that is built.
pub(crate) const OPTIONS: &[Rule] = &[
    server("backlog", BACKLOG, TCP | UNIX, "4096"),
    server("max_connections", COUNT, ANY, "1000"),
    server("timeout", Kind::Timeout(Zero::CannotWork), ANY, "\"5 min\""),
    server(
        "first_byte_timeout",
        Kind::Timeout(Zero::CannotWork),
        STREAMS,
        "\"30s\"",
    ),
    server(
        "request_timeout",
        Kind::Timeout(Zero::CannotWork),
        ANY,
        "\"10 min\"",
    ),
    server("shutdown_grace", Kind::Duration(Zero::Works), ANY, "\"8s\""),
    server("accept_timeout", Kind::Timeout(Zero::Works), ANY, "\"1s\""),
    server("rbufsize", Kind::Size(0), STREAMS, "\"8 KiB\""),
    server("wbufsize", Kind::Size(0), STREAMS, "\"8 KiB\""),
    server("max_line", Kind::Size(1), STREAMS, "\"16 MiB\""),
    server(
        "max_packet_size",
        Kind::Size(1),
        UDP | UNIX_DATAGRAM,
        "\"8 KiB\"",
    ),
    server("nodelay", Kind::Flag, TCP, "false"),
    server("keepalive", Kind::Flag, TCP, "true"),
    server("only_v6", Kind::Flag, TCP | UDP, "true"),
    server("reuse_port", Kind::Flag, TCP | UDP, "true"),
    server("reuse_address", Kind::Flag, TCP | UDP, "false"),
    server("mode", Kind::Mode, UNIX | UNIX_DATAGRAM, "0o660"),
    server(
        "service_interval",
        Kind::Timeout(Zero::CannotWork),
        ANY,
        "\"1s\"",
    ),
    server("announce", Kind::Flag, ANY, "false"),
    model(Owner::Threading, "max", COUNT, "1000"),
    model(Owner::Threading, "stack_size", Kind::Size(1), "\"256 KiB\""),
    model(Owner::Forking, "max_children", COUNT, "40"),
];

const fn server(name: &'static str, kind: Kind, fits: u8, example: &'static str) -> Rule {
    Rule {
        name,
        kind,
        fits,
        owner: Owner::Server,
        example,
    }
}

const fn model(owner: Owner, name: &'static str, kind: Kind, example: &'static str) -> Rule {
    Rule {
        name,
        kind,
        fits: ANY,
        owner,
        example,
    }
}

impl Rule {
    /// Finds the row of a word, whoever owns it.
    pub(crate) fn find(word: &str) -> Option<&'static Self> {
        OPTIONS.iter().find(|rule| rule.name == word)
    }

    /// Lists the transports in which the option fits, as prose.
    pub(crate) fn transports(&self) -> String {
        let fitting = Transport::ALL
            .into_iter()
            .filter(|transport| self.fits & transport.column() != 0);
        let words: Vec<_> = fitting
            .map(|transport| format!("`{}`", transport.word()))
            .collect();
        words.join(" and ")
    }
}

impl Owner {
    /// Returns the model's word; the server itself has none.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Server => "",
            Self::Threading => "threading",
            Self::Forking => "forking",
        }
    }
}
