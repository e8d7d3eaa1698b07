use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn message(&mut self, _line: &str) {}
}

fn main() {}
