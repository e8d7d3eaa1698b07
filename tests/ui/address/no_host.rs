use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, addr = [":7007", "*:7007"])]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
