use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, threading, threading(max = 8))]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
