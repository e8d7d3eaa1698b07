//! `cargo sockserv check`: what of the settings does not go together, or not with this machine.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use sockserv::capacity::{Item, Machine, Need, stop_seconds};
use sockserv_codegen::{Amount, Inspection};

use crate::Result;
use crate::source::Source;

/// Warns of settings that do not go together on this machine
#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    source: Source,
}

/// What the library asks for where nothing is said.
const BACKLOG: u64 = 4096;
const MAX_CONNECTIONS: u64 = 1000;
const WORKERS: u64 = 8;
const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);
/// What std gives a thread.
const STACK: u64 = 2 << 20;
/// How many seconds Docker gives a container to end.
const GRACE: u64 = 10;

impl Check {
    pub(crate) fn run(&self) -> Result {
        let (machine, mut out) = (Machine::here(), io::stdout());
        let servers = self.source.servers()?;
        for found in &servers {
            let warnings = warnings(&found.server, &machine);
            for warning in &warnings {
                writeln!(out, "warning: {}: {warning}", found.place)?;
            }
            if warnings.is_empty() {
                writeln!(
                    out,
                    "{}: `{}` and this machine go together",
                    found.place, found.server.handler
                )?;
            }
        }
        Ok(())
    }
}

/// The settings of a server, as numbers.
struct Settings<'a>(&'a Inspection);

impl Settings<'_> {
    fn amount(&self, name: &str) -> Option<Amount> {
        let mut settings = self.0.settings.iter();
        settings
            .find(|one| {
                one.name == name && one.owner.is_none_or(|owner| Some(owner) == self.0.model)
            })?
            .amount
    }

    fn number(&self, name: &str) -> Option<u64> {
        match self.amount(name)? {
            Amount::Number(number) => Some(number),
            Amount::Time(_) => None,
        }
    }

    fn time(&self, name: &str) -> Option<Duration> {
        match self.amount(name)? {
            Amount::Time(time) => Some(time),
            Amount::Number(_) => None,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.settings.iter().any(|one| one.name == name)
    }
}

fn warnings(server: &Inspection, machine: &Machine) -> Vec<String> {
    let settings = Settings(server);
    let items = need(&settings).of(machine).into_iter();
    let short = items.filter(Item::is_short).map(|item| item.to_string());
    let odd = [
        stacks(&settings, machine),
        per_peer(&settings),
        request_timeout(&settings),
        idle_workers(&settings),
        grace(&settings),
    ];
    short.chain(odd.into_iter().flatten()).collect()
}

/// What the server may come to need. A `max_connections` that is not written gives way to the limit of descriptors.
fn need(settings: &Settings<'_>) -> Need {
    let backlog = settings.number("backlog").unwrap_or(BACKLOG);
    Need {
        connections: settings.number("max_connections").unwrap_or_default(),
        threads: thread_count(settings).unwrap_or_default(),
        backlog: if settings.has("backlog") { backlog } else { 0 },
        ..Need::default()
    }
}

/// How many threads there may be.
fn thread_count(settings: &Settings<'_>) -> Option<u64> {
    let connections = settings
        .number("max_connections")
        .unwrap_or(MAX_CONNECTIONS);
    match settings.0.model? {
        "threading" => Some(
            settings
                .number("max")
                .map_or(connections, |max| max.min(connections)),
        ),
        "pool" => Some(settings.number("workers").unwrap_or(WORKERS)),
        _ => None,
    }
}

fn stacks(settings: &Settings<'_>, machine: &Machine) -> Option<String> {
    let (count, memory) = (thread_count(settings)?, machine.memory?);
    let stack = settings.number("stack_size").unwrap_or(STACK);
    let model = settings.0.model.unwrap_or_default();
    (count.saturating_mul(stack) > memory).then(|| {
        format!(
            "{count} threads with {} of stack each may use {}, and there are {}; \
             write `{model}(stack_size = \"256 KiB\")`, or allow fewer connections",
            size(stack),
            size(count.saturating_mul(stack)),
            size(memory)
        )
    })
}

fn per_peer(settings: &Settings<'_>) -> Option<String> {
    let peer = settings.number("max_connections_per_peer")?;
    let all = settings
        .number("max_connections")
        .unwrap_or(MAX_CONNECTIONS);
    (peer >= all).then(|| {
        format!("`max_connections_per_peer = {peer}` keeps nobody out, because all together may have {all}; write less")
    })
}

fn request_timeout(settings: &Settings<'_>) -> Option<String> {
    let (whole, wait) = (settings.time("request_timeout")?, settings.time("timeout")?);
    (wait >= whole).then(|| {
        format!(
            "`timeout` is never reached: a whole request may take {whole:?}, and one wait {wait:?}"
        )
    })
}

fn idle_workers(settings: &Settings<'_>) -> Option<String> {
    let (workers, connections) = (
        settings.number("workers")?,
        settings.number("max_connections")?,
    );
    (workers > connections).then(|| {
        format!(
            "{workers} workers for at most {connections} connections; the others have nothing to do"
        )
    })
}

fn grace(settings: &Settings<'_>) -> Option<String> {
    let (grace, lame) = (settings.time("shutdown_grace"), settings.time("lame_duck"));
    let end = stop_seconds(lame.unwrap_or_default(), grace.unwrap_or(SHUTDOWN_GRACE));
    (end > GRACE).then(|| {
        format!("an end needs up to {end} s, and Docker kills after {GRACE} s; write `docker run --stop-timeout {end}`")
    })
}

fn size(bytes: u64) -> String {
    match bytes {
        0x4000_0000.. => format!("{} GiB", bytes >> 30),
        0x10_0000.. => format!("{} MiB", bytes >> 20),
        _ => format!("{} KiB", bytes >> 10),
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use sockserv::{Options, Pool};

    use super::*;
    use sockserv::prelude::*;

    #[derive(Clone)]
    struct Echo;

    #[server(tcp, sync, addr = "127.0.0.1:0")]
    impl Echo {
        fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
            io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
        }
    }

    #[test]
    fn defaults_are_those_of_the_library() {
        let options = format!("{:?}", Options::new());
        for setting in [
            format!(" backlog: {BACKLOG},"),
            format!(" max_connections: {MAX_CONNECTIONS},"),
            format!(" shutdown_grace: {SHUTDOWN_GRACE:?},"),
        ] {
            assert!(options.contains(&setting), "{setting}: {options}");
        }
        let pool = format!("{:?}", Pool::<Echo>::default());
        assert!(pool.contains(&format!(" workers: {WORKERS},")), "{pool}");
    }

    #[test]
    fn the_library_leaves_as_many_descriptors_as_it_is_said_to() -> io::Result<()> {
        let limit = 500;
        let limits = Rlimit {
            current: Some(limit),
            ..getrlimit(Resource::Nofile)
        };
        setrlimit(Resource::Nofile, limits)?;
        let server = EchoServer::bind(Echo)?;
        let connections = server.handle().max_connections() as u64;
        let need = Need {
            connections,
            ..Need::default()
        };
        let machine = Machine {
            descriptors: Some(limit),
            ..Machine::default()
        };
        let items = need.of(&machine);
        let descriptors = items.iter().find(|item| item.has().is_some());
        assert_eq!(descriptors.map(Item::need), Some(limit));
        Ok(())
    }
}
