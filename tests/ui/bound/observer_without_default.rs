use sockserv::observer::{Event, Observer};
use sockserv::prelude::*;

struct Counts(u64);

impl Observer for Counts {
    fn observe(&self, _event: &Event<'_>) {}
}

#[derive(Clone)]
struct Echo;

#[server(tcp, observer = Counts)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
