//! How servers do, for a person: what SIGUSR1 asks for.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::{Arc, Weak};

use crate::limits::List;
use crate::requests::Requests;
use crate::sys::clock::Tick;

/// How many requests are listed, the oldest of them: a report is read by a person.
const MAX_LISTED: usize = 100;

/// Lets requests answer that run where nobody else is awake: under `sync`.
pub(super) fn answer_beside_requests(servers: &[Arc<Requests>], listeners: &str, began: Tick) {
    for server in servers {
        let all: Vec<_> = servers.iter().map(Arc::downgrade).collect();
        let listeners = listeners.to_owned();
        server.set_answer(move || {
            let all: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
            print(&all, &listeners, began);
        });
    }
}

/// Writes a report to stderr.
pub(super) fn print(servers: &[Arc<Requests>], listeners: &str, began: Tick) {
    let age = Tick::now().since(began).as_secs();
    let process = std::process::id();
    let mut text = format!("sockserv: process {process}, up {age}s, listening on {listeners}\n");
    for server in servers {
        // A text takes all that is written to it.
        let _ = describe(server, &mut text);
    }
    // One write, so that lines do not mix; a closed stderr has nowhere to complain.
    let _ = io::stderr().write_all(text.as_bytes());
}

fn describe(server: &Requests, text: &mut String) -> fmt::Result {
    let stats = server.stats();
    writeln!(
        text,
        "  {:?}: {} taken, {} alive, {} finished, {} failed, {} refused; {} bytes in, {} out",
        server.stage(),
        stats.accepted,
        stats.active,
        stats.finished,
        stats.failed,
        stats.refused,
        stats.bytes_in,
        stats.bytes_out
    )?;
    describe_limits(server, text)?;
    let oldest = server.oldest(MAX_LISTED);
    for live in &oldest {
        let (received, sent) = (live.state.bytes_in(), live.state.bytes_out());
        write!(text, "  {}: {received} bytes in, {sent} out", live.state)?;
        if live.process != 0 {
            write!(text, ", in process {}", live.process)?;
        }
        if let Some(request) = live.request {
            write!(text, ", number {request}")?;
        }
        writeln!(text, "{}", if live.is_idle { ", idle" } else { "" })?;
    }
    match stats.active.saturating_sub(oldest.len() as u64) {
        0 => Ok(()),
        more => writeln!(text, "  and {more} more"),
    }
}

fn describe_limits(server: &Requests, text: &mut String) -> fmt::Result {
    let limits = &server.limits;
    write!(
        text,
        "  limits: max_connections {}",
        limits.max_connections()
    )?;
    if let Some(most) = limits.per_peer() {
        write!(text, ", max_connections_per_peer {most}")?;
    }
    if let Some(rate) = limits.accept_rate() {
        write!(text, ", accept_rate {rate}")?;
    }
    write!(text, ", on_full {:?}", limits.on_full())?;
    for (name, list) in [("allow", List::Allow), ("deny", List::Deny)] {
        let networks = limits.list(list);
        let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
        if !networks.is_empty() {
            write!(text, ", {name} {}", networks.join(" "))?;
        }
    }
    writeln!(text)
}
