use sockserv::prelude::*;

#[derive(Clone)]
struct Pool;

#[server(tcp, pool(accept = "shared"))]
impl Pool {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Prefork;

#[server(tcp, prefork(queue = 64))]
impl Prefork {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
