use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, max_connections = 0, max_line = 0, threading(max = 0))]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
