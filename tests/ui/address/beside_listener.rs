use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[derive(Default, Debug)]
struct MyListener;

#[server(listener = MyListener, addr = "127.0.0.1:7007")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
