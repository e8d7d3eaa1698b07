use sockserv::prelude::*;

const SET: &str = "set";

#[derive(Clone)]
struct Echo;

#[server(tcp, length_prefixed(u16_be), opcode(u8))]
impl Echo {
    #[opcode(GET)]
    fn get(&mut self) {}

    #[opcode(SET)]
    fn set(&mut self) {}
}

fn main() {}
