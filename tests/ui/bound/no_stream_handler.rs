use sockserv::prelude::*;

#[derive(Clone)]
#[server(tcp)]
struct Echo;

fn main() {}
