use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, rpc = "ping.x")]
impl Echo {
    #[procedure(1)]
    fn add(&mut self, a: i32) -> i32 {
        a
    }
}

fn main() {}
