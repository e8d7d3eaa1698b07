//! An observer that says what it is told.

use sockserv::observer::{Event, Observer};

use crate::state::say;

/// Writes one line for each event.
pub(crate) struct Watch;

impl Observer for Watch {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Started(start) => {
                say(
                    "start",
                    &[("request", &start.request), ("peer", start.peer)],
                );
            }
            Event::Stopped(stop) => {
                let (request, peer) = (stop.request, stop.peer);
                say(
                    "stop",
                    &[
                        ("request", &request),
                        ("peer", peer),
                        ("reason", &stop.reason),
                        ("phase", &stop.phase),
                        ("bytes_in", &stop.bytes_in),
                        ("bytes_out", &stop.bytes_out),
                    ],
                );
            }
            Event::Refused { peer, why, .. } => say("refused", &[("peer", peer), ("why", why)]),
            Event::Upgrading { pid, .. } => say("upgrading", &[("pid", pid)]),
            Event::Upgraded { pid, .. } => say("upgraded", &[("pid", pid)]),
            Event::UpgradeFailed { why, .. } => say("upgrade-failed", &[("why", why)]),
            _ => {}
        }
    }
}
