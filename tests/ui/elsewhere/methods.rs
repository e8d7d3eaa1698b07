use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn worker_start(&mut self, _worker: usize) -> io::Result<()> {
        Ok(())
    }

    #[command("GET")]
    fn get(&mut self) {}
}

fn main() {}
