use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, addr = ["localhost", "::1", "[::1]"])]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
