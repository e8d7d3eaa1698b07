use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command(b"GET")]
    fn get(&mut self) {}

    #[command(1)]
    fn set(&mut self) {}

    #[command(DEL)]
    fn delete(&mut self) {}
}

fn main() {}
