//! Words that are not options: what is not built yet, what other frameworks call it, and what somebody meant.

use crate::options::{Framing, Model, OPTIONS, Owner, Transport};

/// Words of the design that are not built yet, and what to write until they are.
const UNBUILT: &[(&str, &str)] = &[
    ("multiplexing", "write `threading` or `pool`"),
    ("tls", "leave it out and put a TLS proxy before the server"),
    ("proxy", "read the header in `fn setup`"),
];

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
    (
        "cli",
        "leave it out and call `from_args`, with the feature `cli`",
    ),
    ("port", "write `addr = \"127.0.0.1:7007\"`"),
    ("host", "write `addr = \"127.0.0.1:7007\"`"),
    ("bind", "write `addr = \"127.0.0.1:7007\"`"),
    ("listen", "write `addr = \"127.0.0.1:7007\"`"),
    ("address", "write `addr`"),
    ("ip", "write `addr = \"127.0.0.1:7007\"`"),
    ("path", "write `addr = \"unix:/run/name.sock\"`"),
    (
        "threads",
        "write `threading(max = 1000)` or `pool(workers = 8)`",
    ),
    ("threaded", "write `threading`"),
    ("fork", "write `forking`"),
    ("unixgram", "write `unix_datagram`"),
    ("tcp4", "write `tcp`, the address says the version"),
    ("tcp6", "write `tcp`, the address says the version"),
    ("udp4", "write `udp`, the address says the version"),
    ("udp6", "write `udp`, the address says the version"),
    ("tcp_nodelay", "write `nodelay`"),
    ("ipv6_only", "write `only_v6`"),
    ("ThreadPoolMixIn", "write `pool`"),
    ("ThreadPoolExecutor", "write `pool`"),
    ("thread_pool", "write `pool`"),
    ("threadpool", "write `pool`"),
    ("pooled", "write `pool`"),
    ("PreforkMixIn", "write `prefork`"),
    ("pre_fork", "write `prefork`"),
    ("preforking", "write `prefork`"),
    ("num_workers", WORKERS),
    ("max_workers", WORKERS),
    ("num_threads", "write `pool(workers = 8)`"),
    ("worker_threads", "write `pool(workers = 8)`"),
    ("queue_size", "write `pool(queue = 64)`"),
    ("processes", "write `prefork(workers = 4)`"),
    ("worker_processes", "write `prefork(workers = 4)`"),
    (
        "preload",
        "leave it out, every worker begins as a copy of what `bind` was given",
    ),
    (
        "max_requests_jitter",
        "leave it out, `prefork(max_requests = 1000)` spreads by itself",
    ),
    (
        "max_requests_per_child",
        "write `prefork(max_requests = 1000)`",
    ),
    ("maxtasksperchild", "write `prefork(max_requests = 1000)`"),
    ("max_clients", "write `max_connections`"),
    ("max_conns", "write `max_connections`"),
    ("maxconn", "write `max_connections`"),
    ("worker_connections", "write `max_connections`"),
    ("max_connections_per_ip", "write `max_connections_per_peer`"),
    ("rate_limit", "write `accept_rate`"),
    ("whitelist", "write `allow`"),
    ("blacklist", "write `deny`"),
    ("idle_timeout", "write `timeout`"),
    ("read_timeout", "write `timeout`"),
    ("write_timeout", "write `timeout`"),
    ("min_data_rate", "write `min_rate`"),
    ("drain_timeout", "write `shutdown_grace`"),
    ("graceful_timeout", "write `shutdown_grace`"),
    ("user", "write `owner`"),
    ("uid", "write `owner`"),
    ("gid", "write `group`"),
    ("accesslog", "write `access_log`"),
    ("framing", FRAMING),
    ("decoder", FRAMING),
    ("encoder", FRAMING),
    ("LineReceiver", "write `lines`"),
    ("LinesCodec", "write `lines`"),
    ("LengthDelimitedCodec", "write `length_prefixed(u32_be)`"),
    ("Int16StringReceiver", "write `length_prefixed(u16_be)`"),
    ("delimiter", "write `delimited(b\"\\0\")`"),
    ("case_insensitive", "write `ignore_case`"),
];

const FRAMING: &str = "write `lines` or another framing, or `codec = MyCodec`";
const WORKERS: &str = "write `pool(workers = 8)` or `prefork(workers = 4)`";

/// What other frameworks call the options of a model, and ours.
const OF_WORKERS: &[(&str, &str)] = &[
    ("max", "workers"),
    ("max_children", "workers"),
    ("children", "workers"),
    ("threads", "workers"),
    ("num_threads", "workers"),
    ("max_threads", "workers"),
    ("num_workers", "workers"),
    ("max_workers", "workers"),
    ("processes", "workers"),
    ("size", "workers"),
    ("queue_size", "queue"),
    ("max_queue", "queue"),
    ("max_requests_per_child", "max_requests"),
    ("maxtasksperchild", "max_requests"),
];

/// What other frameworks call the options of a framing, and ours.
const OF_FRAMINGS: &[(&str, &str)] = &[
    ("max_length", "max"),
    ("max_line", "max"),
    ("max_frame_length", "max"),
    ("max_size", "max"),
    ("limit", "max"),
    ("overflow", "on_overflow"),
    ("line_ending", "ending"),
    ("separator", "ending"),
];

/// Words that are neither transports nor models, nor rows of the table.
const OTHERS: &[&str] = &[
    "addr",
    "name",
    "vis",
    "crate",
    "listener",
    "model",
    "rpc",
    "codec",
    "ignore_case",
    "quoting",
];

/// Returns what to write instead of a word that is not built yet.
pub(crate) fn unbuilt(word: &str) -> Option<&'static str> {
    lookup(UNBUILT, word)
}

/// Returns what to write instead of a word from elsewhere.
pub(crate) fn foreign(word: &str) -> Option<&'static str> {
    lookup(FOREIGN, word)
}

/// Returns the option of this model that a word means, which is another model's or another framework's.
pub(crate) fn meant_of_model(model: Model, word: &str) -> Option<&'static str> {
    let near = || closest(word, model.rules().map(|rule| rule.name));
    let meant = lookup(OF_WORKERS, word).or_else(near)?;
    model
        .rules()
        .map(|rule| rule.name)
        .find(|name| *name == meant)
}

/// Returns the option of this framing that a word means.
pub(crate) fn meant_of_framing(framing: Framing, word: &str) -> Option<&'static str> {
    let near = || closest(word, framing.rules().map(|rule| rule.name));
    let meant = lookup(OF_FRAMINGS, word).or_else(near)?;
    framing
        .rules()
        .map(|rule| rule.name)
        .find(|name| *name == meant)
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
    let models = Model::ALL.into_iter().map(Model::word);
    let framings = Framing::ALL.into_iter().map(Framing::word);
    closest(
        word,
        transports
            .chain(models)
            .chain(framings)
            .chain(OTHERS.iter().copied())
            .chain(options),
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
