use sockserv::prelude::*;

const LAN: u8 = 10;

#[derive(Clone)]
struct Echo;

#[server(tcp, allow = LAN)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
