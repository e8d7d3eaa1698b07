use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, addr = "127.0.0.1:http")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
