use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines, opcode(u8), opcode(u16_be))]
impl Echo {
    #[opcode(0x01)]
    fn get(&mut self, payload: Bytes) -> Bytes {
        payload
    }
}

fn main() {}
