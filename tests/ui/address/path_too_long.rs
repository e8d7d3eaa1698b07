use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(unix, addr = "unix:/run/a/path/that/nobody/would/want/to/type/twice/because/it/is/longer/than/the/system/has/bytes/for/it/x.sock")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
