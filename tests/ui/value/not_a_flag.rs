use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, nodelay = "off", keepalive = none)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
