use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, length_prefixed(u16_be), opcode(u8))]
impl Echo {
    #[opcode(0x01)]
    fn get(&mut self, payload: Bytes) -> Bytes {
        payload
    }

    fn message(&mut self, _message: Bytes) {}
}

fn main() {}
