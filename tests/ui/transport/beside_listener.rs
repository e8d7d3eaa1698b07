use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[derive(Default, Debug)]
struct MyListener;

#[server(tcp, listener = MyListener)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
