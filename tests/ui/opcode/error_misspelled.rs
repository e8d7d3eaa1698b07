use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, length_prefixed(u16_be), opcode(u8))]
impl Echo {
    #[opcode(0x01)]
    fn get(&mut self, payload: Bytes) -> Bytes {
        payload
    }

    fn command_eror(&mut self, _error: &sockserv::command::CommandError, _replies: &mut Replies) {}
}

fn main() {}
