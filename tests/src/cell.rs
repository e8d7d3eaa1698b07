//! The twenty cells: four transports times five models.

use std::fmt;

/// What requests come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Unix streams.
    Unix,
    /// Unix datagrams.
    UnixDatagram,
}

/// Where requests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// One after another.
    Sync,
    /// In threads.
    Threading,
    /// In a fixed number of threads.
    Pool,
    /// In child processes, one for each request.
    Forking,
    /// In worker processes.
    Prefork,
}

/// One transport under one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The transport.
    pub transport: Transport,
    /// The model.
    pub model: Model,
}

impl Transport {
    /// Whether requests are connections.
    #[must_use]
    pub fn is_stream(self) -> bool {
        matches!(self, Transport::Tcp | Transport::Unix)
    }

    /// Whether addresses are paths.
    #[must_use]
    pub fn is_unix(self) -> bool {
        matches!(self, Transport::Unix | Transport::UnixDatagram)
    }

    /// The attribute's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Unix => "unix",
            Transport::UnixDatagram => "unix_datagram",
        }
    }
}

impl Model {
    /// The attribute's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Model::Sync => "sync",
            Model::Threading => "threading",
            Model::Pool => "pool",
            Model::Forking => "forking",
            Model::Prefork => "prefork",
        }
    }
}

impl Cell {
    /// All twenty.
    pub fn all() -> impl Iterator<Item = Cell> {
        use {Model::*, Transport::*};
        let models = [Sync, Threading, Pool, Forking, Prefork];
        [Tcp, Udp, Unix, UnixDatagram]
            .into_iter()
            .flat_map(move |transport| models.map(|model| Cell { transport, model }))
    }

    /// Whether requests are connections.
    #[must_use]
    pub fn is_stream(self) -> bool {
        self.transport.is_stream()
    }

    /// Whether addresses are paths.
    #[must_use]
    pub fn is_unix(self) -> bool {
        self.transport.is_unix()
    }

    /// Whether two requests can be alive at once.
    #[must_use]
    pub fn is_concurrent(self) -> bool {
        self.model != Model::Sync
    }

    /// Whether requests run in the accept loops of several processes.
    #[must_use]
    pub fn is_preforked(self) -> bool {
        self.model == Model::Prefork
    }

    /// Whether each request runs in a child process of its own.
    #[must_use]
    pub fn forks(self) -> bool {
        self.model == Model::Forking
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.transport.word(), self.model.word())
    }
}
