use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("GET", when)]
    fn get(&mut self) {}

    #[command("SET", when = Self::is_open, when = Self::is_mine)]
    fn set(&mut self) {}

    fn is_open(&self) -> bool {
        true
    }

    fn is_mine(&self) -> bool {
        true
    }
}

fn main() {}
