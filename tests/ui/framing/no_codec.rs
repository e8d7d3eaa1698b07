use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, codec = String)]
impl First {
    fn message(&mut self, _text: String) {}
}

#[derive(Clone)]
struct Second;

#[server(tcp, codec = Vec<u8>, opcode(u8))]
impl Second {
    #[opcode(1)]
    fn get(&mut self) {}
}

fn main() {}
