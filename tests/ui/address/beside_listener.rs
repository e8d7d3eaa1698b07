use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

use std::os::fd::BorrowedFd;

#[derive(Default, Debug)]
struct MyListener;

impl sockserv::Listener for MyListener {
    fn accept(&self) -> io::Result<(sockserv::Incoming, Address)> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn local_addr(&self) -> Address {
        Address::Unnamed
    }
}

#[server(listener = MyListener, addr = "127.0.0.1:7007")]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}
