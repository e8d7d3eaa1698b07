use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, allow = ["localhost", "10.0.0.1:80", "10.0.0/8"])]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
