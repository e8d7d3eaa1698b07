use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, backlog = -1)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
