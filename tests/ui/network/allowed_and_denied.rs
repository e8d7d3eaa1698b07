use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, allow = ["10.0.0.0/8", "192.0.2.1"], deny = ["10.0.0.0/8", "10.1.0.0/16"])]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
