use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("GET")]
    fn get(&mut self, _key: &String) {}

    #[command("SET")]
    fn set(&mut self, _key: &mut str) {}

    #[command("DEL")]
    fn delete(&mut self, _keys: Option<&u64>) {}

    #[command("DATA")]
    fn data(&mut self, _stream: &Stream) {}
}

fn main() {}
