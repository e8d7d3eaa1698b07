//! The command line: addresses, the server's options by their names, and what the hooks are to do.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use sockserv::{Builder, Declaration};

use crate::Apply;
use crate::state::{Deed, Hooks};

#[derive(Debug, Default)]
pub(crate) struct Flags {
    pub(crate) options: Options,
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
        let mut flags = Flags::default();
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
                "quiet" => flags.hooks.quiet = true,
                "setup-reads" => flags.hooks.setup_reads = true,
                "clone" => flags.hooks.clone = Some(deed(&value)?),
                "verify" => flags.hooks.verify = Some(deed(&value)?),
                "service" => flags.hooks.service = Some(deed(&value)?),
                "timeout-hook" => flags.hooks.timeout = Some(deed(&value)?),
                "error-hook" => flags.hooks.error = Some(deed(&value)?),
                "bind-hook" => flags.hooks.bind = Some(deed(&value)?),
                "activate-hook" => flags.hooks.activate = Some(deed(&value)?),
                _ => flags.options.named.push((name.to_owned(), value)),
            }
        }
        Ok(flags)
    }
}

/// `panic`, `error` or `refuse`, the first N times: `panic:2`; without N always.
fn deed(value: &str) -> io::Result<Deed> {
    let (kind, times) = match value.split_once(':') {
        Some((kind, times)) => (kind, number(times)?),
        None => (value, u64::MAX),
    };
    match kind {
        "panic" => Ok(Deed {
            panics: true,
            times,
        }),
        "error" | "refuse" => Ok(Deed {
            panics: false,
            times,
        }),
        _ => Err(invalid(format!("`{kind}` is nothing that a hook can do"))),
    }
}

impl Apply for Options {
    fn apply<H: Declaration, S>(&self, mut builder: Builder<H, S>) -> io::Result<Builder<H, S>> {
        for (name, value) in &self.named {
            builder = match name.as_str() {
                "accept-timeout" => builder.accept_timeout(duration(value)?),
                "backlog" => builder.backlog(number(value)?),
                "first-byte-timeout" => builder.first_byte_timeout(duration(value)?),
                "max" => builder.max(number(value)?),
                "max-children" => builder.max_children(number(value)?),
                "max-connections" => builder.max_connections(number(value)?),
                "max-line" => builder.max_line(number(value)?),
                "max-packet-size" => builder.max_packet_size(number(value)?),
                "mode" => builder.mode(u32::from_str_radix(value, 8).map_err(invalid)?),
                "rbufsize" => builder.rbufsize(number(value)?),
                "request-timeout" => builder.request_timeout(duration(value)?),
                "reuse-address" => builder.reuse_address(value == "on"),
                "service-interval" => builder.service_interval(duration(value)?),
                "shutdown-grace" => builder.shutdown_grace(duration(value)?),
                "timeout" => builder.timeout(duration(value)?),
                "wbufsize" => builder.wbufsize(number(value)?),
                _ => return Err(invalid(format!("unknown option `--{name}`"))),
            };
        }
        Ok(builder.addrs(&self.addrs))
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
