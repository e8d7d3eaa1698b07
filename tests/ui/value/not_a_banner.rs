use sockserv::prelude::*;

#[derive(Clone)]
struct Number;

#[server(tcp, banner = 421, on_full = "refuse")]
impl Number {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Empty;

#[server(tcp, banner = "", on_full = "refuse")]
impl Empty {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
