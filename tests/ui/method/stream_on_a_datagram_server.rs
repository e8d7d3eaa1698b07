use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(udp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
