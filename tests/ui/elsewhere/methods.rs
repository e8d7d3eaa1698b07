use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}

    #[command("GET")]
    fn get(&mut self) {}
}

fn main() {}
