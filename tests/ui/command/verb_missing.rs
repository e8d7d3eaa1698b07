use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command]
    fn get(&mut self) {}

    #[command()]
    fn set(&mut self) {}

    #[command = "DEL"]
    fn delete(&mut self) {}

    #[command(when = Self::is_open)]
    fn touch(&mut self) {}

    fn is_open(&self) -> bool {
        true
    }
}

fn main() {}
