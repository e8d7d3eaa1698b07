//! Generic handlers: bounds stay where the user wrote them.

use std::fmt::Debug;
use std::marker::PhantomData;

use sockserv::prelude::*;

trait Store {
    fn name(&self) -> &str;
}

#[derive(Clone)]
struct Memory;

impl Store for Memory {
    fn name(&self) -> &str {
        "memory"
    }
}

#[derive(Clone)]
struct Session<S>(S);

#[server(tcp, threading)]
impl<S: Store> Session<S>
where
    Self: Sized,
{
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(self.0.name().as_bytes())
    }

    fn handle_timeout(&self) {}
}

#[derive(Clone)]
struct Borrowed<'a, const N: usize>(&'a [u8; N]);

#[server(tcp)]
impl<'a, const N: usize> Borrowed<'a, N> {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(self.0)
    }
}

#[derive(Clone)]
struct Feed<I>(I);

#[server(tcp, threading)]
impl<I: Iterator<Item = U>, U: Debug> Feed<I> {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        write!(stream.wfile, "{:?}", self.0.next())
    }
}

#[derive(Clone)]
#[server(udp, unix)]
struct Both<T: Default = u8>(PhantomData<T>)
where
    T: Clone;

impl<T: Clone + Default> StreamHandler for Both<T> {
    fn handle(&mut self, _stream: &mut Stream) -> Outcome {
        Ok(())
    }
}

impl<T: Clone + Default> DatagramHandler for Both<T> {
    fn handle(&mut self, _datagram: &mut Datagram) -> Outcome {
        Ok(())
    }
}

fn main() {
    let _bound = SessionServer::bind_to("127.0.0.1:0", Session(Memory));
    let text = *b"hello";
    let _bound = BorrowedServer::bind_to("127.0.0.1:0", Borrowed(&text));
    let _bound = FeedServer::bind_to("127.0.0.1:0", Feed(1..3));
    let _builder = BothServer::builder(Both::<u8>(PhantomData));
}
