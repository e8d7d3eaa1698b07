use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) -> Result<(), Box<dyn std::error::Error>> {
        Ok(())
    }
}

#[derive(Clone)]
struct Store;

#[server(tcp, lines)]
impl Store {
    #[command("GET")]
    fn get(&mut self) -> Result<String, Box<dyn std::error::Error>> {
        Ok(String::new())
    }
}

fn main() {}
