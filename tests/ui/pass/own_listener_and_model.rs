//! An own listener and an own model, generic ones too, beside our own.

use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::Instant;

use sockserv::prelude::*;
use sockserv::{Incoming, Listener, Model, Unit};

#[derive(Default)]
struct Nothing<A, B>(PhantomData<fn() -> (A, B)>);

impl<A: 'static, B: 'static> Listener for Nothing<A, B> {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn local_addr(&self) -> Address {
        Address::Unnamed
    }
}

/// Not `Send`: there is `run`, but no `spawn`.
#[derive(Default)]
struct Here(Rc<()>);

impl<H> Model<H> for Here {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        unit.run();
        Ok(())
    }

    fn drain(&mut self, _until: Instant) {}
}

#[derive(Clone)]
struct Packets;

#[server(listener = Nothing<u8, Vec<u8>>, model = Here, service_interval = "1s")]
impl Packets {
    fn handle(&mut self, _datagram: &mut Datagram) {}
}

#[derive(Clone)]
struct Either;

#[server(threading, listener = Nothing<u8, u8>)]
impl Either {
    fn handle<R>(&mut self, _request: &mut R)
    where
        R: Request,
    {
    }
}

#[derive(Clone)]
struct Local<T>(T);

#[server(tcp, model = crate::Here)]
impl<T: Clone> Local<T> {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() -> io::Result<()> {
    PacketsServer::bind(Packets)?.serve_forever()?;
    EitherServer::bind(Either)?.serve_forever()?;
    let _bound = LocalServer::bind_to("127.0.0.1:0", Local(Rc::new(())))?;
    Ok(())
}
