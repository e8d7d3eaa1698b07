use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, length_prefixed(u16_be), opcode(u8))]
impl First {
    #[opcode(0x100)]
    fn get(&mut self) {}
}

#[derive(Clone)]
struct Second;

#[server(tcp, lines, opcode(u16_le))]
impl Second {
    #[opcode(0xffff, 65536)]
    fn get(&mut self) {}
}

fn main() {}
