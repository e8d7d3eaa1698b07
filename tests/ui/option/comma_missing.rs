use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp threading)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
