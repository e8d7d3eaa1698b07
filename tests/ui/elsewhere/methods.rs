use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}

    #[opcode(1)]
    fn get(&mut self) {}
}

fn main() {}
