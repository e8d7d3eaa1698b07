use sockserv::prelude::*;

#[server(tcp)]
trait Echo {
    fn handle(&mut self, stream: &mut Stream);
}

fn main() {}
