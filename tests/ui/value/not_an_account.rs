use sockserv::prelude::*;

#[derive(Clone)]
struct Empty;

#[server(unix, owner = "")]
impl Empty {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Flag;

#[server(unix, group = true)]
impl Flag {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Large;

#[server(unix, owner = 4294967295)]
impl Large {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
