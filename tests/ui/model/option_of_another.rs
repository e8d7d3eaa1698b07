use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, forking(stack_size = "256 KiB"))]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
