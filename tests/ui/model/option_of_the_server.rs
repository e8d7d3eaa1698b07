use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, threading(backlog = 128))]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
