use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("GET", if = Self::is_open)]
    fn get(&mut self) {}

    #[command("SET", alias = "PUT")]
    fn set(&mut self) {}
}

fn main() {}
