use sockserv::prelude::*;

#[derive(Clone)]
struct Calculator;

#[server(tcp, rpc = "calculator.x")]
impl Calculator {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
