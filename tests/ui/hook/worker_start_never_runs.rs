use sockserv::prelude::*;

#[derive(Clone)]
struct Default;

#[server(tcp)]
impl Default {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn worker_start(&mut self, _worker: usize) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone)]
struct Threads;

#[server(tcp, threading)]
impl Threads {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn worker_start(&mut self, _worker: usize) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone)]
struct Children;

#[server(tcp, forking)]
impl Children {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn worker_start(&mut self, _worker: usize) -> io::Result<()> {
        Ok(())
    }
}

fn main() {}
