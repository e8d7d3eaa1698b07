use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, prefork)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn worker_start(&mut self, _worker: u32) {}
}

fn main() {}
