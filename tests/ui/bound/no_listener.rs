use sockserv::prelude::*;

#[derive(Default)]
struct Queue;

#[derive(Clone)]
struct Echo;

#[server(threading, listener = Queue)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
