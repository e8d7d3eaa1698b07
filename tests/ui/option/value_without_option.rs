use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, "127.0.0.1:7007", pool(4), lines(1024))]
impl Echo {
    fn message(&mut self, _line: Bytes) {}
}

#[derive(Clone)]
struct Gate;

#[server(tcp, sync(1), length_prefixed(u16_be, 64), opcode(u8, 2))]
impl Gate {
    #[opcode(1)]
    fn open(&mut self) {}
}

fn main() {}
