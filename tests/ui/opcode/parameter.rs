use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, length_prefixed(u16_be), opcode(u8))]
impl Echo {
    #[opcode(1)]
    fn get(&mut self, _key: &str) {}

    #[opcode(2)]
    fn set(&mut self, _payload: Bytes, _head: &[u8], _rest: &[u8]) {}

    #[opcode(3)]
    fn add(&mut self, _number: u64) {}
}

fn main() {}
