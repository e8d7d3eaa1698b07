use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, colour = 3)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
