//! The handover itself: what both processes keep of it, and what they say to one another.

mod predecessor;
mod sockets;
mod successor;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::requests::{Requests, lock};

pub(crate) use predecessor::{Predecessor, predecessor};
pub(crate) use sockets::{open, remember};
pub(crate) use successor::{Look, Successor};

/// Names the channel to a successor: the number of the process that made it, and that of the descriptor.
const VARIABLE: &str = "SOCKSERV_UPGRADE";

/// What is said in the channel, once the sockets have gone through it: by the new process, and by the old one.
const READY: &[u8] = b"ready";
const GO: &[u8] = b"go";

/// All servers of this process: it is upgraded as a whole.
static SERVERS: Mutex<Vec<Weak<Requests>>> = Mutex::new(Vec::new());

/// Whether a successor was started: one at a time.
static IS_UNDER_WAY: AtomicBool = AtomicBool::new(false);

/// Whether a server is run by `run`, which a program calls when it has made all of them.
static IS_RUN: AtomicBool = AtomicBool::new(false);

/// Makes a new server known. In a process that is to take over it waits until it may accept.
pub(crate) fn enlist(requests: &Arc<Requests>) {
    // Neither is needed without an upgrade, and then it is told why there can be none.
    let _ = successor::program();
    if predecessor().is_some_and(|predecessor| !predecessor.is_over()) {
        requests.hold();
    }
    let mut servers = lock(&SERVERS);
    servers.retain(|server| server.strong_count() > 0);
    servers.push(Arc::downgrade(requests));
}

/// Returns all servers of this process.
pub(crate) fn servers() -> Vec<Arc<Requests>> {
    lock(&SERVERS).iter().filter_map(Weak::upgrade).collect()
}

/// The program has made all its servers.
pub(crate) fn note_run() {
    IS_RUN.store(true, Ordering::SeqCst);
}

/// Whether this process can take over: all its servers serve, and no further one is to be expected.
pub(crate) fn is_ready(predecessor: &Predecessor) -> bool {
    let has_all = IS_RUN.load(Ordering::SeqCst) || predecessor.is_taken();
    has_all && servers().iter().all(|server| server.is_prepared())
}

/// Begins an upgrade, if none is under way.
pub(crate) fn begin() -> bool {
    !IS_UNDER_WAY.swap(true, Ordering::SeqCst)
}

/// An upgrade has failed; another one may begin.
pub(crate) fn end() {
    IS_UNDER_WAY.store(false, Ordering::SeqCst);
}
