use sockserv::prelude::*;

#[server(tcp)]
fn handle(_stream: &mut Stream) {}

fn main() {}
