#![forbid(unsafe_code)]

use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, unsafe(forking))]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
