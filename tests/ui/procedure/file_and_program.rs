use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, rpc = "ping.x", rpc(program = 1, version = 1))]
impl Echo {
    #[procedure(1)]
    fn add(&mut self, a: i32) -> i32 {
        a
    }
}

fn main() {}
