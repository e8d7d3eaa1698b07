use sockserv::prelude::*;

trait Greeter {}

#[server(tcp)]
impl dyn Greeter {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
