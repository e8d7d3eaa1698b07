use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, addr = [])]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
