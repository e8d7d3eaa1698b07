use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

const LIMIT: &str = "many";
const PATIENCE: u64 = 30;

#[server(tcp, backlog = LIMIT, timeout = PATIENCE)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
