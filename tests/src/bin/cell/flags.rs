//! The command line: addresses, the server's options by their names, and what the hooks are to do.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sockserv::{Accept, Builder, Declaration, OnFull};

use crate::state::{Deed, Hooks};
use crate::watch::Watch;
use crate::{Apply, messages};

#[derive(Debug)]
pub(crate) struct Flags {
    pub(crate) options: Options,
    /// What the server calls: `handle`, `message`, `command` or `rpc`.
    pub(crate) handler: String,
    pub(crate) hooks: Hooks,
    /// Serve this many times by `handle_request` instead of `run`.
    pub(crate) by_request: Option<u64>,
    pub(crate) foreign: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Options {
    addrs: Vec<String>,
    named: Vec<(String, String)>,
}

impl Flags {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> io::Result<Self> {
        let mut flags = Flags {
            options: Options::default(),
            handler: "handle".to_owned(),
            hooks: Hooks::default(),
            by_request: None,
            foreign: false,
        };
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else {
                flags.options.addrs.push(word);
                continue;
            };
            let value = words
                .next()
                .ok_or_else(|| invalid(format!("`{word}` needs a value")))?;
            match name {
                "by-request" => flags.by_request = Some(number(&value)?),
                "foreign" => flags.foreign = true,
                "handler" => flags.handler = value,
                "on-overflow" => messages::on_overflow(&value)?,
                "quiet" => flags.hooks.quiet = true,
                "greeting" => flags.hooks.greeting = Some(number(&value)?),
                "setup-reads" => flags.hooks.setup_reads = true,
                "clone" => flags.hooks.clone = Some(deed(&value)?),
                "verify" => flags.hooks.verify = Some(deed(&value)?),
                "service" => flags.hooks.service = Some(deed(&value)?),
                "timeout-hook" => flags.hooks.timeout = Some(deed(&value)?),
                "error-hook" => flags.hooks.error = Some(deed(&value)?),
                "bind-hook" => flags.hooks.bind = Some(deed(&value)?),
                "activate-hook" => flags.hooks.activate = Some(deed(&value)?),
                "obstacle" => flags.hooks.obstacle = Some(PathBuf::from(value)),
                "worker-start" => flags.hooks.worker_start = Some(deed(&value)?),
                "worker-exits" => flags.hooks.worker_exits = true,
                "worker-gates" => flags.hooks.worker_gates = Some(PathBuf::from(value)),
                "no-worker-while" => flags.hooks.no_worker_while = Some(PathBuf::from(value)),
                _ => flags.options.named.push((name.to_owned(), value)),
            }
        }
        Ok(flags)
    }
}

/// `panic`, `error` or `refuse`, the first N times: `panic:2`, or after M times in which all is well: `panic:2@M`; without
/// N always.
fn deed(value: &str) -> io::Result<Deed> {
    let (kind, times) = value.split_once(':').unwrap_or((value, ""));
    let (times, after) = times.split_once('@').unwrap_or((times, "0"));
    let times = if times.is_empty() {
        u64::MAX
    } else {
        number(times)?
    };
    let panics = match kind {
        "panic" => true,
        "error" | "refuse" => false,
        _ => return Err(invalid(format!("`{kind}` is nothing that a hook can do"))),
    };
    Ok(Deed {
        panics,
        times,
        after: number(after)?,
    })
}

impl Apply for Options {
    fn apply<H: Declaration, S>(&self, mut builder: Builder<H, S>) -> io::Result<Builder<H, S>> {
        for (name, value) in &self.named {
            builder = match name.as_str() {
                "accept" => builder.accept(accept(value)?),
                "accept-rate" => builder.accept_rate(number::<u32>(value)?),
                "accept-timeout" => builder.accept_timeout(duration(value)?),
                "allow" => builder.allow([value]),
                "backlog" => builder.backlog(number(value)?),
                "banner" => builder.banner(value.clone()),
                "deny" => builder.deny([value]),
                "first-byte-timeout" => builder.first_byte_timeout(duration(value)?),
                "lame-duck" => builder.lame_duck(duration(value)?),
                "max" => builder.max(number(value)?),
                "max-children" => builder.max_children(number(value)?),
                "max-connections" => builder.max_connections(number(value)?),
                "max-connections-per-peer" => {
                    builder.max_connections_per_peer(number::<usize>(value)?)
                }
                "max-line" => builder.max_line(number(value)?),
                "max-packet-size" => builder.max_packet_size(number(value)?),
                "max-requests" => builder.max_requests(number::<u64>(value)?),
                "min-rate" => builder.min_rate(number::<u64>(value)?),
                "mode" => builder.mode(u32::from_str_radix(value, 8).map_err(invalid)?),
                "observe" => builder.observer(Watch),
                "on-full" => builder.on_full(on_full(value)?),
                "queue" => builder.queue(number(value)?),
                "rbufsize" => builder.rbufsize(number(value)?),
                "request-timeout" => builder.request_timeout(duration(value)?),
                "reuse-address" => builder.reuse_address(value == "on"),
                "service-interval" => builder.service_interval(duration(value)?),
                "shutdown-grace" => builder.shutdown_grace(duration(value)?),
                "speaks-first" => builder.speaks_first(value == "on"),
                "timeout" => builder.timeout(duration(value)?),
                "upgrade" => builder.upgrade(value == "on"),
                "upgrade-timeout" => builder.upgrade_timeout(duration(value)?),
                "wbufsize" => builder.wbufsize(number(value)?),
                "workers" => builder.workers(number(&said(value)?)?),
                _ => return Err(invalid(format!("unknown option `--{name}`"))),
            };
        }
        Ok(builder.addrs(&self.addrs))
    }
}

/// A value itself, or `@PATH`: what stands in that file, which the next process may find changed.
fn said(value: &str) -> io::Result<String> {
    match value.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path),
        None => Ok(value.to_owned()),
    }
}

fn accept(value: &str) -> io::Result<Accept> {
    match value {
        "shared" => Ok(Accept::Shared),
        "reuse-port" => Ok(Accept::ReusePort),
        _ => Err(invalid(format!("`{value}` is no way to accept"))),
    }
}

fn on_full(value: &str) -> io::Result<OnFull> {
    match value {
        "wait" => Ok(OnFull::Wait),
        "refuse" => Ok(OnFull::Refuse),
        _ => Err(invalid(format!("`{value}` is nothing to do when full"))),
    }
}

/// `2s` or `200ms`.
fn duration(value: &str) -> io::Result<Duration> {
    match value.strip_suffix("ms") {
        Some(millis) => number(millis).map(Duration::from_millis),
        None => number(value.strip_suffix('s').unwrap_or(value)).map(Duration::from_secs),
    }
}

pub(crate) fn number<N: FromStr>(value: &str) -> io::Result<N> {
    value
        .parse()
        .map_err(|_| invalid(format!("`{value}` is no number that fits here")))
}

pub(crate) fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
