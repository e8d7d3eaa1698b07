use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(
    tcp,
    workers = 1,
    queue = 1,
    max_requests = 1,
    on_full = "refuse",
    max_connections_per_peer = 1,
    accept_rate = 1,
    allow = ["10.0.0.0/8"],
    deny = 1,
    min_rate = 1,
    lame_duck = 1,
    banner = 1,
    owner = 1,
    group = 1,
    lines(max = "8 KiB"),
    delimited(b"\0"),
    length_prefixed(u16_be),
    fixed(4),
    record_marking,
    codec = 1,
    ignore_case,
    opcode = 1,
    rpc = 1,
    tls,
    proxy,
    observer = MyObserver<A>,
    access_log = 1,
    admin = 1,
    cli,
)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Pool;

#[server(tcp, pool(workers = 8, queue = 64))]
impl Pool {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Prefork;

#[server(tcp, prefork(workers = 4, accept = "shared"))]
impl Prefork {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Multiplexing;

#[server(tcp, unsafe(multiplexing))]
impl Multiplexing {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
