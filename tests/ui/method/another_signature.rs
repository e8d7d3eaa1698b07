use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn setup(&mut self) {}

    fn handle(_stream: &mut Stream) {}
}

fn main() {}
