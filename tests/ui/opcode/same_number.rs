use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, length_prefixed(u16_be), opcode(u8))]
impl Echo {
    #[opcode(1, 2)]
    fn get(&mut self) {}

    #[opcode(0x02)]
    fn set(&mut self) {}
}

fn main() {}
