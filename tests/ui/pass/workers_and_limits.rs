//! Workers and limits, in every form that they have.

#![deny(warnings, unused_qualifications)]

use std::marker::PhantomData;

use sockserv::observer::{Event, Observer};
use sockserv::prelude::*;
use sockserv::{Accept, OnFull};

const LIMIT: usize = 4;
const LAN: [&str; 2] = ["10.0.0.0/8", "fd00::/8"];
const RATE: u64 = 1 << 10;

#[derive(Default)]
struct Counts<T>(PhantomData<T>);

impl<T: Send + Sync + 'static> Observer for Counts<T> {
    fn observe(&self, _event: &Event<'_>) {}
}

#[derive(Clone)]
struct Pooled;

#[server(
    tcp,
    pool(workers = 2 * LIMIT, queue = 64, stack_size = "256 KiB", speaks_first),
    addr = "127.0.0.1:0",
    max_connections_per_peer = LIMIT * 5,
    accept_rate = 100,
    on_full = "refuse",
    banner = b"421 busy\r\n",
    allow = LAN,
    deny = ["10.1.0.0/16", LAN[1], "192.0.2.1"],
    min_rate = "1 KiB/s",
    lame_duck = "5s",
    observer = Counts<u8>,
)]
impl Pooled {
    fn worker_start(&mut self, _worker: usize) -> io::Result<()> {
        Ok(())
    }

    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Local;

#[server(
    unix,
    prefork(workers = 4, accept = "shared", max_requests = 1000),
    addr = "unix:@name",
    on_full = OnFull::Refuse,
    banner = concat!("busy", "\n"),
    min_rate = RATE,
    lame_duck = "0s",
    mode = 0o660,
    owner = 33,
    group = "www-data",
    observer = Counts<Box<str>>,
)]
impl Local {
    fn worker_start(&self, _worker: usize) -> io::Result<()> {
        Ok(())
    }

    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Spread;

#[server(udp, unsafe(prefork(accept = "reuse_port")), addr = "127.0.0.1:0", allow = "::1", accept_rate = 2 * 3, on_full = "wait")]
impl Spread {
    fn handle(&mut self, _datagram: &mut Datagram) {}
}

#[derive(Clone)]
struct Pair;

#[server(tcp, unix_datagram, prefork(accept = Accept::ReusePort), max_connections_per_peer = 1, banner = "busy", owner = LAN[0])]
impl Pair {
    fn handle<R: Request>(&mut self, _request: &mut R) {}
}

fn main() {
    let _servers = (PooledServer::bind, PooledServer::spawn, LocalServer::bind, SpreadServer::spawn, PairServer::run);
}
