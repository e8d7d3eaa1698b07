use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("GET", when = Self::is_open)]
    fn get(&mut self) {}

    #[command("SET", when = Self::count)]
    fn set(&mut self) {}

    fn count(&self) -> u64 {
        1
    }
}

fn main() {}
