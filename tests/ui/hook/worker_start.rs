use sockserv::prelude::*;

#[derive(Clone)]
struct NoNumber;

#[server(tcp, pool)]
impl NoNumber {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn worker_start(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone)]
struct ByValue;

#[server(tcp, pool)]
impl ByValue {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn worker_start(self, _worker: usize) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone)]
struct Near;

#[server(tcp, pool)]
impl Near {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn workers_start(&mut self, _worker: usize) {}
}

fn main() {}
