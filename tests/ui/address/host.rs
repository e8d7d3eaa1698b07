use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, addr = ["256.0.0.1:80", "[::g]:80", "fe80::1:80x:80", "my host:80"])]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
