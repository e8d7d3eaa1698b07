use sockserv::prelude::*;

#[server(tcp)]
mod echo {}

fn main() {}
