use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, addr = "http://127.0.0.1:80")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
