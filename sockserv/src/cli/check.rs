//! `--check`: what is in effect, where it comes from, and whether the machine has room for it.

use std::fmt::{self, Write as _};

use crate::capacity::{Machine, Need};
use crate::cli::Parsed;
use crate::concurrency::{Model as _, pool, prefork};
use crate::options::Options;
use crate::server::declare::{Attribute, Declaration, Transport};

/// The stack of a thread, unless the option or `RUST_MIN_STACK` says otherwise: std's.
const STACK: usize = 2 << 20;

/// One option as it is in effect.
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// Who said so; the later ones override the earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    Attribute,
    /// The program's own calls of the builder.
    Program,
    Environment(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.pad("default"),
            Self::Attribute => f.pad("attribute"),
            Self::Program => f.pad("program"),
            Self::Environment(variable) => write!(f, "environment, {variable}"),
            Self::Flag(flag) => write!(f, "flag, --{flag}"),
        }
    }
}

impl Setting {
    /// Whether the operator has said so.
    pub(super) fn is_given(&self) -> bool {
        matches!(self.origin, Origin::Environment(_) | Origin::Flag(_))
    }

    /// The flag that says the same.
    pub(super) fn flag(&self) -> String {
        format!("--{}={}", self.name.replace('_', "-"), self.value)
    }
}

/// Says what is short, one line each.
pub(super) fn warn<H: Declaration>(attribute: &Attribute, options: &Options) {
    for item in need::<H>(options).of(&Machine::here()) {
        if item.is_short() {
            crate::error::note(&format!("{}: {item}", attribute.name));
        }
    }
}

/// What a server with these options may come to need.
pub(super) fn need<H: Declaration>(options: &Options) -> Need {
    let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let most = H::model().and_then(|model| model.most(options));
    let connections = options.max_connections.min(most.unwrap_or(usize::MAX));
    let (threads, processes) = match H::attribute().model {
        "threading" => (connections, 0),
        "pool" => (options.workers.unwrap_or(pool::WORKERS), 0),
        "forking" => (0, connections),
        "prefork" => (0, options.workers.unwrap_or(prefork::WORKERS)),
        _ => (0, 0), // `sync` makes none, and of an own one nobody knows.
    };
    let kinds = <H::Transport as Transport<H>>::KINDS;
    let is_stream = kinds.iter().any(|kind| kind.is_stream());
    Need {
        connections: wide(connections),
        threads: wide(threads),
        processes: wide(processes),
        stack: wide(options.stack_size.unwrap_or(STACK)),
        buffers: wide(options.rbufsize.saturating_add(options.wbufsize)),
        backlog: if is_stream { options.backlog.into() } else { 0 },
    }
}

/// All of it, for a person.
pub(super) fn text(
    attribute: &Attribute,
    parsed: &Parsed,
    need: &Need,
    machine: &Machine,
) -> String {
    let settings = &parsed.settings;
    let width = |of: fn(&Setting) -> usize| settings.iter().map(of).max().unwrap_or(0);
    let names = width(|setting| setting.name.len());
    let values = width(|setting| setting.value.chars().count()).min(40);
    let mut text = format!("{}, {}\n", attribute.name, attribute.model);
    // A text takes all that is written to it.
    for Setting {
        name,
        value,
        origin,
    } in settings
    {
        let _ = writeln!(text, "  {name:names$}  {value:values$}  ({origin})");
    }
    text.push_str("capacity\n");
    for item in need.of(machine) {
        let mark = if item.is_short() { "!" } else { " " };
        let _ = writeln!(text, "{mark} {item}");
    }
    text
}
