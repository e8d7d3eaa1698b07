//! Receives that fail between good packets: whatever errno it is, the next packet is answered.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Failed, Trial};
use rustix::io::Errno;
use sockserv::prelude::*;
use sockserv::{Incoming, Listener};
use sockserv_tests::DEADLINE;

use crate::Test;
use crate::faults::{OF_ONE_CONNECTION, OF_THE_MACHINE};
use crate::served::{Served, ended};

const NAMES: [(&str, &str); 5] = [
    ("a02_sync_receives_after_each_errno", "packets_sync"),
    (
        "a02_threading_receives_after_each_errno",
        "packets_threading",
    ),
    ("a02_pool_receives_after_each_errno", "packets_pool"),
    ("a02_forking_receives_after_each_errno", "packets_forking"),
    ("a02_prefork_receives_after_each_errno", "packets_prefork"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |(name, served)| Trial::test(name, move || answers(served));
    NAMES.into_iter().map(trial).collect()
}

pub(crate) fn served() -> Vec<Test> {
    vec![
        ("packets_sync", sync::run),
        ("packets_threading", threading::run),
        ("packets_pool", pool::run),
        ("packets_forking", forking::run),
        ("packets_prefork", prefork::run),
    ]
}

/// Those that accept(2) may say, and that of a reply which nobody wanted.
fn errors() -> VecDeque<Errno> {
    let all = [
        &OF_ONE_CONNECTION[..],
        &[Errno::CONNREFUSED],
        &OF_THE_MACHINE,
    ];
    all.concat().into()
}

/// A socket whose receives fail first, once with each errno: with a packet there that nobody may lose.
struct Script {
    socket: Arc<UnixDatagram>,
    errors: Mutex<VecDeque<Errno>>,
}

fn name(process: u32) -> SocketAddr {
    SocketAddr::from_abstract_name(format!("sockserv-packets-{process}")).expect("a short name")
}

impl Script {
    fn new() -> io::Result<Self> {
        let socket = UnixDatagram::bind_addr(&name(std::process::id()))?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: Arc::new(socket),
            errors: Mutex::new(errors()),
        })
    }
}

impl Listener for Script {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        if let Some(error) = self.errors.lock().expect("nobody panics").pop_front() {
            return Err(error.into());
        }
        let mut packet = [0; 16];
        let (count, peer) = self.socket.recv_from(&mut packet)?;
        let socket = Arc::clone(&self.socket);
        let reply = move |reply: &[u8]| socket.send_to_addr(reply, &peer).map(drop);
        let incoming = Incoming::from_packet_with(packet[..count].to_vec(), reply);
        Ok((incoming, Address::Unnamed))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn local_addr(&self) -> Address {
        Address::Unnamed
    }
}

macro_rules! models {
    ($($model:ident),*) => {$(
        mod $model {
            use super::*;

            #[derive(Clone)]
            struct Echo;

            #[server($model, listener = Script)]
            impl Echo {
                fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
                    let packet = datagram.packet().clone();
                    datagram.wfile.write_all(&packet)
                }
            }

            pub(super) fn run() {
                let script = Script::new().expect("a fresh name");
                let server = EchoServer::builder(Echo).listener(script).bind();
                let server = server.expect("nothing to bind");
                let handle = server.handle();
                ended(server.run());
                eprintln!("refused: {}", handle.stats().refused);
            }
        }
    )*};
}
models!(sync, threading, pool, forking, prefork);

/// The first packet waits behind all the errors; under `prefork` each worker has them.
fn answers(served: &str) -> Result<(), Failed> {
    let mut server = Served::start(served)?;
    server.at()?;
    let own = SocketAddr::from_abstract_name(format!("{served}-{}", std::process::id()))?;
    let client = UnixDatagram::bind_addr(&own)?;
    client.set_read_timeout(Some(DEADLINE))?;
    client.connect_addr(&name(server.process().0))?;
    for number in 0..100 {
        let packet = format!("packet {number}");
        client.send(packet.as_bytes())?;
        let mut reply = [0; 16];
        let count = client.recv(&mut reply)?;
        assert_eq!(&reply[..count], packet.as_bytes());
    }
    let said = server.stop()?;
    let (about, others): (Vec<_>, Vec<_>) = said
        .iter()
        .partition(|line| line.contains("cannot accept on"));
    assert!(!about.is_empty(), "the machine's errors are worth a line");
    assert_eq!(others.len(), 1, "{others:?}");
    let refused = others[0].strip_prefix("refused: ").expect("its last words");
    assert!(refused.parse::<usize>()? > OF_ONE_CONNECTION.len());
    Ok(())
}
