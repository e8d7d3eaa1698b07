use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, quickly)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
