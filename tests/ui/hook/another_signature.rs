use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn verify_request(&self) -> bool {
        true
    }

    fn handle_error(&mut self, _error: &RequestError) {}
}

fn main() {}
