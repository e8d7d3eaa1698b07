use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    async fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
