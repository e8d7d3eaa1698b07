use sockserv::prelude::*;

#[derive(Clone)]
struct Calculator;

#[server(tcp, udp, rpc = "calculator.x")]
impl Calculator {
    fn add(&mut self, a: i32, b: i32) -> i32 {
        a + b
    }
}

fn main() {}
