use sockserv::prelude::*;

#[derive(Clone)]
struct Local;

#[server(unix, max_connections_per_peer = 20, accept_rate = 100, allow = "10.0.0.0/8", deny = "10.0.0.0/8")]
impl Local {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Inet;

#[server(tcp, owner = "www-data", group = "www-data")]
impl Inet {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Packets;

#[server(udp, banner = "busy", on_full = "refuse", min_rate = "1 KiB/s")]
impl Packets {
    fn handle(&mut self, _datagram: &mut Datagram) {}
}

fn main() {}
