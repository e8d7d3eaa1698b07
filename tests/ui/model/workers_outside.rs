use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, pool, workers = 8, speaks_first, stack_size = "256 KiB")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Nobody;

#[server(tcp, workers = 8)]
impl Nobody {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
