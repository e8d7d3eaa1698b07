use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp, banner = "421 busy\r\n")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Waits;

#[server(tcp, on_full = "wait", banner = "421 busy\r\n")]
impl Waits {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
