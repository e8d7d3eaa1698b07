use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(udp, lines, opcode(u8))]
impl Echo {
    #[opcode(1)]
    fn get(&mut self, _stream: &mut Stream) {}
}

fn main() {}
