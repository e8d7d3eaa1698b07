use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, codec = String)]
impl Echo {
    fn message(&mut self, _text: String) {}
}

fn main() {}
