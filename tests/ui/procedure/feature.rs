use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, rpc(program = 0x20000001, version = 1))]
impl Echo {
    #[procedure(1)]
    fn add(&mut self, a: i32) -> i32 {
        a
    }
}

fn main() {}
