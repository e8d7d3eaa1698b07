use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, backlog = 2147483648)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
