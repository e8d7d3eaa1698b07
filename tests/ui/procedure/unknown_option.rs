use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, rpc(number = 1, version = 1))]
impl First {
    #[procedure(1)]
    fn add(&mut self, a: i32) -> i32 {
        a
    }
}

#[derive(Clone)]
struct Second;

#[server(tcp, rpc(program = 1, program = 2, version = 1))]
impl Second {
    #[procedure(1)]
    fn add(&mut self, a: i32) -> i32 {
        a
    }
}

fn main() {}
