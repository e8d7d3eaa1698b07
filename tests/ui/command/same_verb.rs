use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines, ignore_case)]
impl Echo {
    #[command("GET", "FETCH")]
    fn get(&mut self) {}

    #[command("fetch")]
    fn fetch(&mut self) {}

    #[command("SET", "SET")]
    fn set(&mut self) {}
}

fn main() {}
