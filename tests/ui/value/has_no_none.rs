use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, backlog = none, shutdown_grace = none)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
