use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, admin = "0.0.0.0:9100")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Time;

#[server(tcp, admin = ["udp://127.0.0.1:9100", "127.0.0.1", 9100], admin_public = [])]
impl Time {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
