use sockserv::prelude::*;

#[derive(Clone)]
#[server(tcp)]
enum Echo {
    Loud,
    Quiet,
}

impl StreamHandler for Echo {
    fn handle(&mut self, _stream: &mut Stream) -> Outcome {
        let _all = (Self::Loud, Self::Quiet);
        Ok(())
    }
}

fn main() {}
