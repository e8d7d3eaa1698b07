use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[derive(Default, Debug)]
struct MyListener;

#[server(listener = MyListener, backlog = 128)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
