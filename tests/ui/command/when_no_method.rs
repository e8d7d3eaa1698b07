use sockserv::prelude::*;

#[derive(Clone)]
struct Echo {
    is_open: bool,
}

#[server(tcp, lines)]
impl Echo {
    #[command("GET", when = self.is_open)]
    fn get(&mut self) {}

    #[command("SET", when = true)]
    fn set(&mut self) {}

    #[command("DEL", when = "is_open")]
    fn delete(&mut self) {}
}

fn main() {}
