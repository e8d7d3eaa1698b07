use sockserv::prelude::*;

#[derive(Clone)]
struct Query;

#[server(udp, backlog = 128, rbufsize = "8 KiB", reuse_address = true)]
impl Query {
    fn handle(&mut self, _datagram: &mut Datagram) {}
}

#[derive(Clone)]
struct Control;

#[server(unix, nodelay = false, only_v6, max_packet_size = 512)]
impl Control {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
