use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, prefork(accept = shared), on_full = refuse)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
