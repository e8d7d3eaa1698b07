//! Words that are not options: what is not built yet, what other frameworks call it, and what somebody meant.

use crate::options::{OPTIONS, Owner, Transport};

/// Words of the design that are not built yet, and what to write until they are.
const UNBUILT: &[(&str, &str)] = &[
    ("pool", "write `threading`"),
    ("prefork", "write `forking`"),
    ("multiplexing", "write `threading`"),
    ("workers", "write `threading(max = 1000)`"),
    ("queue", "write `max_connections`"),
    ("max_requests", "leave it out"),
    ("on_full", "leave it out, a full server waits"),
    ("max_connections_per_peer", "write `max_connections`"),
    ("accept_rate", "write `max_connections`"),
    ("allow", "write a hook `fn verify_request`"),
    ("deny", "write a hook `fn verify_request`"),
    ("min_rate", "write `request_timeout`"),
    ("lame_duck", "write `shutdown_grace`"),
    ("banner", "write it in `fn setup`"),
    ("owner", "write `mode`"),
    ("group", "write `mode`"),
    ("lines", HANDLE),
    ("delimited", HANDLE),
    ("length_prefixed", HANDLE),
    ("fixed", HANDLE),
    ("record_marking", HANDLE),
    ("codec", HANDLE),
    ("ignore_case", HANDLE),
    ("opcode", HANDLE),
    ("rpc", HANDLE),
    ("tls", "leave it out and put a TLS proxy before the server"),
    ("proxy", "read the header in `fn setup`"),
    ("observer", "write a hook `fn handle_error`"),
    ("access_log", "write it in `fn finish`"),
    ("admin", "leave it out and call `handle().stats()`"),
    ("cli", "leave it out and call `builder`"),
];

const HANDLE: &str = "leave it out and write `fn handle`";

/// What Python's `socketserver` and other frameworks call it, and what we do.
const FOREIGN: &[(&str, &str)] = &[
    ("request_queue_size", "write `backlog`"),
    ("allow_reuse_address", "write `reuse_address`"),
    ("allow_reuse_port", "write `reuse_port`"),
    ("daemon_threads", "write `shutdown_grace = \"0s\"`"),
    ("block_on_close", "write `shutdown_grace`"),
    ("disable_nagle_algorithm", "write `nodelay`"),
    (
        "address_family",
        "write the address in `addr`, which says its family",
    ),
    (
        "socket_type",
        "write `tcp`, `udp`, `unix` or `unix_datagram`",
    ),
    ("server_address", "write `addr`"),
    ("RequestHandlerClass", "put `#[server(...)]` on the handler"),
    (
        "bind_and_activate",
        "leave it out and call `builder(handler).bind_unactivated()`",
    ),
    (
        "poll_interval",
        "leave it out (nothing polls), or write `service_interval`",
    ),
    ("ThreadingMixIn", "write `threading`"),
    ("ForkingMixIn", "write `forking`"),
    ("BaseServer", "write `listener = MyListener`"),
    ("TCPServer", "write `tcp`"),
    ("UDPServer", "write `udp`"),
    ("UnixStreamServer", "write `unix`"),
    ("UnixDatagramServer", "write `unix_datagram`"),
    ("ThreadingTCPServer", "write `tcp, threading`"),
    ("ThreadingUDPServer", "write `udp, threading`"),
    ("ThreadingUnixStreamServer", "write `unix, threading`"),
    (
        "ThreadingUnixDatagramServer",
        "write `unix_datagram, threading`",
    ),
    ("ForkingTCPServer", "write `tcp, forking`"),
    ("ForkingUDPServer", "write `udp, forking`"),
    ("ForkingUnixStreamServer", "write `unix, forking`"),
    (
        "ForkingUnixDatagramServer",
        "write `unix_datagram, forking`",
    ),
    ("BaseRequestHandler", "put `#[server(...)]` on the handler"),
    ("StreamRequestHandler", "write `&mut Stream` in `fn handle`"),
    (
        "DatagramRequestHandler",
        "write `&mut Datagram` in `fn handle`",
    ),
    ("port", "write `addr = \"127.0.0.1:7007\"`"),
    ("host", "write `addr = \"127.0.0.1:7007\"`"),
    ("bind", "write `addr = \"127.0.0.1:7007\"`"),
    ("listen", "write `addr = \"127.0.0.1:7007\"`"),
    ("path", "write `addr = \"unix:/run/name.sock\"`"),
    ("threads", "write `threading(max = 1000)`"),
    ("threaded", "write `threading`"),
    ("fork", "write `forking`"),
    ("unixgram", "write `unix_datagram`"),
    ("tcp4", "write `tcp`, the address says the version"),
    ("tcp6", "write `tcp`, the address says the version"),
    ("udp4", "write `udp`, the address says the version"),
    ("udp6", "write `udp`, the address says the version"),
    ("tcp_nodelay", "write `nodelay`"),
    ("ipv6_only", "write `only_v6`"),
];

/// Words that are neither transports, models nor rows of the table.
const OTHERS: &[&str] = &[
    "sync",
    "threading",
    "forking",
    "addr",
    "name",
    "vis",
    "crate",
    "listener",
    "model",
];

/// Returns what to write instead of a word that is not built yet.
pub(crate) fn unbuilt(word: &str) -> Option<&'static str> {
    lookup(UNBUILT, word)
}

/// Returns what to write instead of a word from elsewhere.
pub(crate) fn foreign(word: &str) -> Option<&'static str> {
    lookup(FOREIGN, word)
}

fn lookup(table: &[(&str, &'static str)], word: &str) -> Option<&'static str> {
    table.iter().find(|row| row.0 == word).map(|row| row.1)
}

/// Returns the word of the attribute that somebody probably meant.
pub(crate) fn guess(word: &str) -> Option<&'static str> {
    let options = OPTIONS
        .iter()
        .filter(|rule| rule.owner == Owner::Server)
        .map(|rule| rule.name);
    let transports = Transport::ALL.into_iter().map(Transport::word);
    closest(
        word,
        transports.chain(OTHERS.iter().copied()).chain(options),
    )
}

/// Returns the candidate that is nearest to `word`, if any is near.
pub(crate) fn closest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near = candidates.filter_map(|candidate| {
        let distance = distance(&word, candidate);
        let begins = word.len() >= 4 && candidate.starts_with(&word);
        (distance <= 1 + word.len() / 6 || begins).then_some((distance, candidate))
    });
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns how many letters must be inserted, removed, changed or swapped with their neighbour to make `b` of `a`.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = cheapest(&table, &a, &b, i, j);
        }
    }
    table[a.len()][b.len()]
}

/// Returns the cost of the best last step; everything before it is in the table.
fn cheapest(table: &[Vec<usize>], a: &[char], b: &[char], i: usize, j: usize) -> usize {
    if i == 0 || j == 0 {
        return i + j;
    }
    let changed = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
    let best = changed.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
    if swapped {
        best.min(table[i - 2][j - 2] + 1)
    } else {
        best
    }
}
