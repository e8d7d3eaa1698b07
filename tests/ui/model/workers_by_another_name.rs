use sockserv::prelude::*;

#[derive(Clone)]
struct Threads;

#[server(tcp, pool(threads = 8, queue_size = 64))]
impl Threads {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Max;

#[server(tcp, pool(max = 8))]
impl Max {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Children;

#[server(tcp, prefork(max_children = 4, maxtasksperchild = 1000))]
impl Children {
    fn handle(&mut self, _stream: &mut Stream) {}
}

#[derive(Clone)]
struct Guess;

#[server(tcp, prefork(worker = 4))]
impl Guess {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
