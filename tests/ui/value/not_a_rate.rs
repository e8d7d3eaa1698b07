use sockserv::prelude::*;

#[derive(Clone)]
struct Text;

#[server(tcp, min_rate = "1 KB/s")]
impl Text {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Unit;

#[server(tcp, min_rate = "8")]
impl Unit {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Nothing;

#[server(tcp, min_rate = 0)]
impl Nothing {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
