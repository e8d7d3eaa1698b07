use sockserv::prelude::*;

struct Id;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("WAIT")]
    fn wait(&mut self, _time: std::time::Duration) {}

    #[command("SEND")]
    fn send(&mut self, _all: Vec<Id>) {}
}

fn main() {}
