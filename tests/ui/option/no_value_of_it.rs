use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, name = "Server", vis = public, backlog = let)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
