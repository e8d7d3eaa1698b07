use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("GET")]
    fn get(key: &str) -> String {
        key.to_owned()
    }

    #[command("SET")]
    async fn set(&mut self) {}

    #[command("DEL")]
    fn delete(self) {}
}

fn main() {}
