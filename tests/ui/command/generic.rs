use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("GET")]
    fn get<K: std::str::FromStr>(&mut self, _key: K) {}

    #[command("SET")]
    fn set(&mut self, _key: impl std::str::FromStr) {}
}

fn main() {}
