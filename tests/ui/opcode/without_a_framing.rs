use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, opcode(u8))]
impl Echo {
    #[opcode(0x01)]
    fn get(&mut self, payload: Bytes) -> Bytes {
        payload
    }
}

fn main() {}
