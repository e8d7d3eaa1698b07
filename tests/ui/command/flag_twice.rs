use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines, quoting, quoting = true)]
impl Echo {
    #[command("GET")]
    fn get(&mut self, key: &str) -> String {
        key.to_owned()
    }
}

fn main() {}
