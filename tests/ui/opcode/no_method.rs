use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, length_prefixed(u16_be), opcode(u8))]
impl Echo {
    #[opcode(1)]
    fn get(payload: Bytes) -> Bytes {
        payload
    }

    #[opcode(2)]
    async fn set(&mut self) {}

    #[opcode(3)]
    fn delete(self) {}
}

fn main() {}
