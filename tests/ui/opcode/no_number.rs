use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, length_prefixed(u16_be), opcode(u8))]
impl Echo {
    #[opcode]
    fn get(&mut self) {}

    #[opcode()]
    fn set(&mut self) {}

    #[opcode("GET")]
    fn delete(&mut self) {}

    #[opcode(-1)]
    fn touch(&mut self) {}
}

fn main() {}
