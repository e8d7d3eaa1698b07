use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("GET")]
    fn get(&mut self, key: &str) -> String {
        key.to_owned()
    }

    fn command_error(&mut self, _error: &str) {}
}

fn main() {}
