use sockserv::prelude::*;

#[server(tcp, lines)]
#[derive(Clone)]
struct Echo;

impl StreamHandler for Echo {
    fn handle(&mut self, _stream: &mut Stream) -> Outcome {
        Ok(())
    }
}

fn main() {}
