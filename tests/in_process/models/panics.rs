//! Own transports that panic, or wait, where the accept loop calls them. Promise 2.

use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::sync::Mutex;
use std::time::Duration;

use sockserv::prelude::*;
use sockserv::{Incoming, Listener, Transport, Wait};

use super::listeners::Tunnel;
use super::two_methods::Spawning;
use crate::Test;
use crate::echo::echo_lines;

pub(super) fn tests() -> Vec<Test> {
    vec![
        ("p02_a_transport_may_panic_in_shutdown", || {
            survives(Call::Shutdown);
        }),
        ("p02_a_transport_may_panic_in_descriptor", || {
            survives(Call::Descriptor);
        }),
        ("p02_a_transport_may_panic_in_drop", || survives(Call::Drop)),
        ("p02_a_transport_may_wait_in_shutdown", || {
            survives(Call::WaitInShutdown);
        }),
    ]
}

/// Where a transport is as it should not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Shutdown,
    Descriptor,
    Drop,
    /// Until its request has ended.
    WaitInShutdown,
}

#[derive(Debug)]
struct Wild {
    inner: Tunnel,
    call: Call,
}

impl Wild {
    fn meet(&self, call: Call) {
        assert!(self.call != call, "as it was asked to");
    }
}

impl Transport for Wild {
    fn recv(&self, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        self.inner.recv(buffer, wait)
    }

    fn send(&self, bytes: &[u8], wait: Wait) -> io::Result<usize> {
        self.inner.send(bytes, wait)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.shutdown(how)?;
        if self.call == Call::WaitInShutdown && how != Shutdown::Write {
            self.inner.expect_end();
        }
        self.meet(Call::Shutdown);
        Ok(())
    }

    fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.inner.set_timeout(timeout)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.meet(Call::Descriptor);
        None
    }
}

impl Drop for Wild {
    fn drop(&mut self) {
        self.meet(Call::Drop);
    }
}

/// Has these, and then nothing for a while.
#[derive(Default)]
struct Wilds(Mutex<Vec<Wild>>);

impl Listener for Wilds {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        let wild = self.0.lock().expect("nobody panics").pop();
        let wild = wild.ok_or(io::ErrorKind::WouldBlock)?;
        Ok((Incoming::stream(wild), Address::Unnamed))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn local_addr(&self) -> Address {
        Address::Unnamed
    }
}

#[derive(Clone)]
struct Tamer;

#[server(listener = Wilds, model = Spawning, timeout = "30s", shutdown_grace = "30s")]
impl Tamer {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        echo_lines(stream)
    }
}

/// One is ended by its client, the other one by the shutdown.
fn survives(call: Call) {
    let tunnels = [Tunnel::default(), Tunnel::default()];
    let wilds = tunnels.clone().map(|inner| Wild { inner, call });
    let own = Wilds(Mutex::new(wilds.into()));
    let server = TamerServer::builder(Tamer).listener(own).bind();
    let running = server.and_then(TamerServer::spawn).expect("a thread");
    for tunnel in &tunnels {
        tunnel.say("a line\n");
        tunnel.expect("a line\n");
    }
    tunnels[0].shutdown(Shutdown::Read).expect("its own end");
    tunnels[0].expect_end();
    let report = running.shutdown().expect("a good end");
    assert_eq!(report.cut(), 0);
    tunnels[1].expect_end();
}
