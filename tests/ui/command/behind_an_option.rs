use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("SET")]
    fn set(&mut self, _time: Option<u64>, _key: &str) {}
}

fn main() {}
