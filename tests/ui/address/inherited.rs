use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, addr = ["fd:three", "systemd:", "systemd:http:first"])]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
