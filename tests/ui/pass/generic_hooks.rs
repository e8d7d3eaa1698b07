//! A generic handler's hooks are found, wherever they are written.

use sockserv::Incoming;
use sockserv::prelude::*;

#[derive(Clone)]
#[server(tcp, threading, addr = "127.0.0.1:0")]
struct Bounded<T: Clone + Send + 'static>(T);

impl<T: Clone + Send + 'static> StreamHandler for Bounded<T> {
    fn handle(&mut self, stream: &mut Stream) -> Outcome {
        Ok(stream.wfile.write_all(b"served")?)
    }
}

impl<T: Clone + Send + 'static> Hooks for Bounded<T> {
    fn verify_request(&self, _peer: &Address, _incoming: &Incoming) -> bool {
        false
    }
}

#[derive(Clone)]
#[server(tcp, addr = "127.0.0.1:0")]
struct Free<T, const N: usize>([T; N]);

impl<T, const N: usize> StreamHandler for Free<T, N> {
    fn handle(&mut self, stream: &mut Stream) -> Outcome {
        Ok(stream.wfile.write_all(b"served")?)
    }
}

impl<U, const M: usize> Hooks for Free<U, M> {
    fn verify_request(&self, _peer: &Address, _incoming: &Incoming) -> bool {
        false
    }
}

#[derive(Clone)]
struct Beside<T>(T);

#[server(tcp, threading, addr = "127.0.0.1:0")]
impl<T: ToString> Beside<T>
where
    Self: Sized,
{
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(self.0.to_string().as_bytes())
    }
}

impl<T: ToString> Hooks for Beside<T> {
    fn verify_request(&self, _peer: &Address, _incoming: &Incoming) -> bool {
        false
    }
}

#[derive(Clone)]
#[server(tcp, addr = "127.0.0.1:0")]
struct Unhooked<'a, T>(&'a T);

impl<T: Clone> StreamHandler for Unhooked<'_, T> {
    fn handle(&mut self, stream: &mut Stream) -> Outcome {
        Ok(stream.wfile.write_all(b"served")?)
    }
}

fn main() -> io::Result<()> {
    assert_eq!(reply(BoundedServer::bind(Bounded(1))?.spawn()?)?, "");
    assert_eq!(reply(FreeServer::bind(Free([1, 2]))?.spawn()?)?, "");
    assert_eq!(reply(BesideServer::bind(Beside(1))?.spawn()?)?, "");
    assert_eq!(reply(UnhookedServer::bind(Unhooked(&1))?.spawn()?)?, "served");
    Ok(())
}

fn reply(server: sockserv::Running) -> io::Result<String> {
    let mut reply = String::new();
    server.connect()?.read_to_string(&mut reply)?;
    Ok(reply)
}
