use sockserv::prelude::*;

struct Id;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("GET")]
    fn get(&mut self) -> Id {
        Id
    }

    #[command("LIST")]
    fn list(&mut self) -> Result<Option<Vec<String>>, String> {
        Ok(None)
    }

    #[command("SET")]
    fn set(&mut self) -> Result<(), Id> {
        Ok(())
    }
}

fn main() {}
