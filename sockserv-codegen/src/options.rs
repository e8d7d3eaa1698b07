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
        match self {
            Self::Tcp | Self::Unix => true,
            Self::Udp | Self::UnixDatagram => false,
        }
    }

    pub(crate) fn is_unix(self) -> bool {
        match self {
            Self::Unix | Self::UnixDatagram => true,
            Self::Tcp | Self::Udp => false,
        }
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

/// How requests meet CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Model {
    Sync,
    Threading,
    Pool,
    Forking,
    Prefork,
}

impl Model {
    pub(crate) const ALL: [Self; 5] = [
        Self::Sync,
        Self::Threading,
        Self::Pool,
        Self::Forking,
        Self::Prefork,
    ];

    /// Returns the word in the attribute.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Threading => "threading",
            Self::Pool => "pool",
            Self::Forking => "forking",
            Self::Prefork => "prefork",
        }
    }

    /// Returns the runtime's word for it; without its check for other threads if that was promised.
    pub(crate) fn type_name(self, promised: bool) -> &'static str {
        match self {
            Self::Sync => "Synchronous",
            Self::Threading => "Threading",
            Self::Pool => "Pool",
            Self::Forking if promised => "UncheckedForking",
            Self::Forking => "Forking",
            Self::Prefork if promised => "UncheckedPrefork",
            Self::Prefork => "Prefork",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.word() == word)
    }

    /// Tells whether it makes processes, and so needs a process without other threads, or a promise.
    pub(crate) fn forks(self) -> bool {
        match self {
            Self::Forking | Self::Prefork => true,
            Self::Sync | Self::Threading | Self::Pool => false,
        }
    }

    /// Tells whether it has workers that outlive a request.
    pub(crate) fn has_workers(self) -> bool {
        match self {
            Self::Pool | Self::Prefork => true,
            Self::Sync | Self::Threading | Self::Forking => false,
        }
    }

    /// Returns how it is written, with an option if it has any.
    pub(crate) fn example(self) -> String {
        let rule = self.rules().next();
        rule.map_or_else(|| self.word().to_owned(), |rule| self.example_with(rule))
    }

    /// Returns how it is written with an option.
    pub(crate) fn example_with(self, rule: &Rule) -> String {
        let (word, name) = (self.word(), rule.name);
        match rule.kind {
            Kind::Flag => format!("{word}({name})"),
            _ => format!("{word}({name} = {})", rule.example),
        }
    }

    /// Returns the rows that stand between its parentheses.
    pub(crate) fn rules(self) -> impl Iterator<Item = &'static Rule> {
        OPTIONS
            .iter()
            .filter(move |rule| rule.owner == Owner::Model(self))
    }
}

/// Where one message ends and the next begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    Lines,
    Delimited,
    LengthPrefixed,
    Fixed,
    RecordMarking,
}

impl Framing {
    pub(crate) const ALL: [Self; 5] = [
        Self::Lines,
        Self::Delimited,
        Self::LengthPrefixed,
        Self::Fixed,
        Self::RecordMarking,
    ];

    /// Returns the word in the attribute.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Delimited => "delimited",
            Self::LengthPrefixed => "length_prefixed",
            Self::Fixed => "fixed",
            Self::RecordMarking => "record_marking",
        }
    }

    /// Returns the runtime's codec.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Lines => "Lines",
            Self::Delimited => "Delimited",
            Self::LengthPrefixed => "LengthPrefixed",
            Self::Fixed => "Fixed",
            Self::RecordMarking => "RecordMarking",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|framing| framing.word() == word)
    }

    /// Returns an example of what stands first between its parentheses, without a name, if anything does.
    pub(crate) fn first(self) -> Option<&'static str> {
        match self {
            Self::Lines | Self::RecordMarking => None,
            Self::Delimited => Some("b\"\\0\""),
            Self::LengthPrefixed => Some("u16_be"),
            Self::Fixed => Some("16"),
        }
    }

    /// Returns how it is written.
    pub(crate) fn example(self) -> String {
        match self.first() {
            Some(first) => format!("{}({first})", self.word()),
            None => self.word().to_owned(),
        }
    }

    /// Returns how it is written with an option.
    pub(crate) fn example_with(self, rule: &Rule) -> String {
        let first = self.first().map(|first| format!("{first}, "));
        let (word, first, name) = (self.word(), first.unwrap_or_default(), rule.name);
        match rule.kind {
            Kind::Flag => format!("{word}({first}{name})"),
            _ => format!("{word}({first}{name} = {})", rule.example),
        }
    }

    /// Returns how it is written with parentheses.
    pub(crate) fn full_example(self) -> String {
        match (self.first(), self.rules().next()) {
            (None, Some(rule)) => self.example_with(rule),
            _ => self.example(),
        }
    }

    /// Returns the rows that stand between its parentheses.
    pub(crate) fn rules(self) -> impl Iterator<Item = &'static Rule> {
        OPTIONS
            .iter()
            .filter(move |rule| rule.owner == Owner::Framing(self))
    }
}

/// The type that the runtime takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Width {
    U32,
    U64,
    Usize,
}

impl Width {
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::Usize => "usize",
        }
    }
}

/// What the option's value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A whole number between the two, both included.
    Number(Width, u64, u64),
    /// Bytes: a whole number or `"64 KiB"`, at least this many.
    Size(u64),
    /// Bytes a second: a whole number or `"1 KiB/s"`.
    Rate,
    /// `"30s"`.
    Duration(Zero),
    /// `"30s"` or `none`.
    Timeout(Zero),
    /// `true`, `false`, or the word alone.
    Flag,
    /// `0o660`.
    Mode,
    /// One of these words in quotes, each with its variant of the runtime's type of this name.
    Choice(&'static str, &'static [(&'static str, &'static str)]),
    /// `"10.0.0.0/8"`, or a list of such.
    Networks,
    /// `"127.0.0.1:9100"`, or a list of such.
    Endpoints,
    /// Text or bytes.
    Bytes,
    /// A user or a group, by name or number.
    Account,
    /// A type with a default.
    Type,
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
    Model(Model),
    /// Written as `lines(max = "8 KiB")`.
    Framing(Framing),
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

pub(crate) const ANY: u8 = STREAMS | DATAGRAMS;
pub(crate) const STREAMS: u8 = TCP | UNIX | OWN_STREAMS;
const DATAGRAMS: u8 = UDP | UNIX_DATAGRAM | OWN_DATAGRAMS;
/// Where one peer can be told from another. A Unix socket's clients have no address.
const PEERS: u8 = TCP | UDP | OWN_STREAMS | OWN_DATAGRAMS;

const COUNT: Kind = Kind::Number(Width::Usize, 1, u64::MAX);
const BACKLOG: Kind = Kind::Number(Width::U32, 0, i32::MAX as u64); // listen(2) takes an `int`.
const ON_FULL: Kind = Kind::Choice("OnFull", &[("wait", "Wait"), ("refuse", "Refuse")]);
const ACCEPT: Kind = Kind::Choice("Accept", &[("shared", "Shared"), (REUSE_PORT, "ReusePort")]);
/// The choice of `accept` that asks for a port.
pub(crate) const REUSE_PORT: &str = "reuse_port";

/// Every option that is built.
pub(crate) const OPTIONS: &[Rule] = &[
    server("backlog", BACKLOG, TCP | UNIX, "4096"),
    server("max_connections", COUNT, ANY, "1000"),
    server("max_connections_per_peer", COUNT, PEERS, "20"),
    server(
        "accept_rate",
        Kind::Number(Width::U32, 1, u32::MAX as u64),
        PEERS,
        "100",
    ),
    server("on_full", ON_FULL, ANY, "\"refuse\""),
    server("banner", Kind::Bytes, STREAMS, "\"421 busy\\r\\n\""),
    server("allow", Kind::Networks, TCP | UDP, "\"10.0.0.0/8\""),
    server("deny", Kind::Networks, TCP | UDP, "\"10.0.0.0/8\""),
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
    server("min_rate", Kind::Rate, STREAMS, "\"1 KiB/s\""),
    server("shutdown_grace", Kind::Duration(Zero::Works), ANY, "\"8s\""),
    server("lame_duck", Kind::Duration(Zero::Works), ANY, "\"5s\""),
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
    server("reuse_address", Kind::Flag, TCP, "false"),
    server("mode", Kind::Mode, UNIX | UNIX_DATAGRAM, "0o660"),
    server("owner", Kind::Account, UNIX | UNIX_DATAGRAM, "\"www-data\""),
    server("group", Kind::Account, UNIX | UNIX_DATAGRAM, "\"www-data\""),
    server(
        "service_interval",
        Kind::Timeout(Zero::CannotWork),
        ANY,
        "\"1s\"",
    ),
    server("announce", Kind::Flag, ANY, "false"),
    server("upgrade", Kind::Flag, ANY, "true"),
    server(
        "upgrade_timeout",
        Kind::Duration(Zero::CannotWork),
        ANY,
        "\"30s\"",
    ),
    server("access_log", Kind::Flag, ANY, "true"),
    server("observer", Kind::Type, ANY, "MyObserver"),
    server("admin", Kind::Endpoints, ANY, "\"127.0.0.1:9100\""),
    server("admin_public", Kind::Endpoints, ANY, "\"0.0.0.0:9100\""),
    model(Model::Threading, "max", COUNT, ANY, "1000"),
    model(Model::Threading, "stack_size", STACK, ANY, "\"256 KiB\""),
    model(Model::Pool, "workers", COUNT, ANY, "8"),
    model(Model::Pool, "queue", COUNT, ANY, "64"),
    model(Model::Pool, "stack_size", STACK, ANY, "\"256 KiB\""),
    model(Model::Pool, "speaks_first", Kind::Flag, STREAMS, "true"),
    model(Model::Forking, "max_children", COUNT, ANY, "40"),
    model(Model::Prefork, "workers", COUNT, ANY, "4"),
    model(Model::Prefork, "accept", ACCEPT, ANY, "\"shared\""),
    model(
        Model::Prefork,
        "max_requests",
        Kind::Number(Width::U64, 1, u64::MAX),
        ANY,
        "1000",
    ),
    framing(Framing::Lines, "max", MAX, "\"8 KiB\""),
    framing(Framing::Lines, "ending", ENDING, "\"\\r\\n\""),
    framing(Framing::Lines, "on_overflow", OVERFLOW, "\"discard\""),
    framing(Framing::Delimited, "max", MAX, "\"8 KiB\""),
    framing(Framing::Delimited, "on_overflow", OVERFLOW, "\"discard\""),
    framing(Framing::LengthPrefixed, "max", MAX, "\"8 KiB\""),
    framing(
        Framing::LengthPrefixed,
        "on_overflow",
        OVERFLOW,
        "\"discard\"",
    ),
    framing(
        Framing::LengthPrefixed,
        "includes_itself",
        Kind::Flag,
        "true",
    ),
    framing(Framing::RecordMarking, "max", MAX, "\"1 MiB\""),
    framing(
        Framing::RecordMarking,
        "on_overflow",
        OVERFLOW,
        "\"discard\"",
    ),
];

const STACK: Kind = Kind::Size(1);
const MAX: Kind = Kind::Size(1);
const ENDING: Kind = Kind::Choice("Ending", &[("\n", "Lf"), ("\r\n", "CrLf"), ("any", "Any")]);
const OVERFLOW: Kind = Kind::Choice(
    "Overflow",
    &[
        ("error", "Error"),
        ("discard", "Discard"),
        ("close", "Close"),
    ],
);

const fn framing(framing: Framing, name: &'static str, kind: Kind, example: &'static str) -> Rule {
    Rule {
        name,
        kind,
        fits: ANY,
        owner: Owner::Framing(framing),
        example,
    }
}

const fn server(name: &'static str, kind: Kind, fits: u8, example: &'static str) -> Rule {
    Rule {
        name,
        kind,
        fits,
        owner: Owner::Server,
        example,
    }
}

const fn model(
    model: Model,
    name: &'static str,
    kind: Kind,
    fits: u8,
    example: &'static str,
) -> Rule {
    Rule {
        name,
        kind,
        fits,
        owner: Owner::Model(model),
        example,
    }
}

impl Rule {
    /// Finds the server's row of a word.
    pub(crate) fn of_server(word: &str) -> Option<&'static Self> {
        let mut rows = Self::named(word);
        rows.find(|rule| rule.owner == Owner::Server)
    }

    /// Finds the rows of a word, whoever owns them.
    pub(crate) fn named(word: &str) -> impl Iterator<Item = &'static Self> {
        OPTIONS.iter().filter(move |rule| rule.name == word)
    }

    /// Finds the models that own a word, each with its row.
    pub(crate) fn of_models(word: &str) -> impl Iterator<Item = (Model, &'static Self)> {
        Self::named(word).filter_map(|rule| match rule.owner {
            Owner::Model(model) => Some((model, rule)),
            Owner::Server | Owner::Framing(_) => None,
        })
    }

    /// Finds the framings that own a word, each with its row.
    pub(crate) fn of_framings(word: &str) -> impl Iterator<Item = (Framing, &'static Self)> {
        Self::named(word).filter_map(|rule| match rule.owner {
            Owner::Framing(framing) => Some((framing, rule)),
            Owner::Server | Owner::Model(_) => None,
        })
    }

    /// Returns the feature that the runtime needs for it, if that feature is off.
    pub(crate) fn missing_feature(&self) -> Option<&'static str> {
        match self.name {
            "access_log" if cfg!(not(feature = "log")) => Some("log"),
            "upgrade" | "upgrade_timeout" if cfg!(not(feature = "upgrade")) => Some("upgrade"),
            "admin" | "admin_public" if cfg!(not(feature = "admin")) => Some("admin"),
            _ => None,
        }
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
