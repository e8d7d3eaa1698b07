use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, backlog(128))]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
