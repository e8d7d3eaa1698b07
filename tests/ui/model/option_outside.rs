use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, forking, max_children = 40)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
