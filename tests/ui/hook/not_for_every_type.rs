use sockserv::Incoming;
use sockserv::prelude::*;

trait Store: Clone + Send + 'static {}

#[derive(Clone)]
struct Memory;

impl Store for Memory {}

#[derive(Clone)]
#[server(tcp, threading)]
struct Bounded<S>(S);

impl<S: Store> StreamHandler for Bounded<S> {
    fn handle(&mut self, _stream: &mut Stream) -> Outcome {
        Ok(())
    }
}

impl<S: Store> Hooks for Bounded<S> {
    fn verify_request(&self, _peer: &Address, _incoming: &Incoming) -> bool {
        false
    }
}

#[derive(Clone)]
struct Session<S>(S);

#[server(tcp, threading)]
impl<S: Store> Session<S> {
    fn handle(&mut self, _stream: &mut Stream) {}
}

impl Hooks for Session<Memory> {
    fn verify_request(&self, _peer: &Address, _incoming: &Incoming) -> bool {
        false
    }
}

fn main() {}
