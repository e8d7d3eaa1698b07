use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, lines)]
impl Echo {
    #[command("")]
    fn get(&mut self) {}

    #[command("MAIL  FROM:")]
    fn mail(&mut self) {}

    #[command(" QUIT")]
    fn quit(&mut self) {}
}

fn main() {}
