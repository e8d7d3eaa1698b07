use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, cli)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
