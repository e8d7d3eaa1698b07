use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("GET")]
    #[command("FETCH")]
    fn get(&mut self, key: &str) -> String {
        key.to_owned()
    }
}

fn main() {}
