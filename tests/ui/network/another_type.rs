use sockserv::prelude::*;

const LAN: &str = "10.0.0.0/8";

#[derive(Clone)]
struct Echo;

#[server(tcp, allow = LAN)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
