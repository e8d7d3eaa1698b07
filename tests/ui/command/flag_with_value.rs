use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, lines, ignore_case = "yes")]
impl First {
    #[command("GET")]
    fn get(&mut self, key: &str) -> String {
        key.to_owned()
    }
}

#[derive(Clone)]
struct Second;

#[server(tcp, lines, quoting(double))]
impl Second {
    #[command("GET")]
    fn get(&mut self, key: &str) -> String {
        key.to_owned()
    }
}

fn main() {}
