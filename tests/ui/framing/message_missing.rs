use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
}

fn main() {}
