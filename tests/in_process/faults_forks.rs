//! The faults behind the two seams once more, under the models that fork: asked from outside, because a test has threads.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use libtest_mimic::{Failed, Trial};
use rustix::io::Errno;
use sockserv::prelude::*;
use sockserv::{Incoming, Listener};
use sockserv_tests::DEADLINE;

use crate::Test;
use crate::faults::{Faulty, OF_ONE_CONNECTION, OF_THE_MACHINE, answer, converse, lame_faults};
use crate::served::Served;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("a02_forking_lives_through_each_errno", || {
            lives_on("failing_forking")
        }),
        Trial::test("a02_prefork_lives_through_each_errno", || {
            lives_on("failing_prefork")
        }),
    ]
}

pub(crate) fn served() -> Vec<Test> {
    vec![
        ("failing_forking", forking::run),
        ("failing_prefork", prefork::run),
    ]
}

/// Fails before each connection as long as there is an error left, and makes its transport lame.
struct Script {
    listener: UnixListener,
    errors: Mutex<VecDeque<Errno>>,
    has_failed: AtomicBool,
    accepted: AtomicUsize,
}

fn name(process: u32) -> SocketAddr {
    SocketAddr::from_abstract_name(format!("sockserv-faults-{process}")).expect("a short name")
}

impl Script {
    fn new() -> io::Result<Self> {
        let listener = UnixListener::bind_addr(&name(std::process::id()))?;
        listener.set_nonblocking(true)?;
        let errors = OF_ONE_CONNECTION.into_iter().chain(OF_THE_MACHINE);
        Ok(Self {
            listener,
            errors: Mutex::new(errors.collect()),
            has_failed: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
        })
    }

    fn next_error(&self) -> Option<Errno> {
        let fails = !self.has_failed.fetch_xor(true, Ordering::SeqCst);
        let mut errors = self.errors.lock().expect("nobody panics");
        fails.then(|| errors.pop_front()).flatten()
    }
}

impl Listener for Script {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        if let Some(error) = self.next_error() {
            return Err(error.into());
        }
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(false)?;
        let nth = self.accepted.fetch_add(1, Ordering::SeqCst);
        let fault = lame_faults().cycle().nth(nth).expect("it has no end");
        let faulty = Faulty::new(stream, fault, Arc::default());
        Ok((Incoming::stream(faulty), Address::Unnamed))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.listener.as_fd())
    }

    fn local_addr(&self) -> Address {
        Address::Unnamed
    }
}

macro_rules! models {
    ($($model:ident),*) => {$(
        mod $model {
            use super::*;

            #[derive(Clone)]
            struct Talk;

            #[server($model, listener = Script)]
            impl Talk {
                fn setup(&mut self, stream: &mut Stream) -> io::Result<()> {
                    answer(stream)
                }

                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    answer(stream)
                }

                fn finish(&mut self, stream: &mut Stream) -> io::Result<()> {
                    stream.wfile.write_all(b"bye\n")
                }
            }

            pub(super) fn run() {
                let script = Script::new().expect("a fresh name");
                let server = TalkServer::builder(Talk).listener(script).bind();
                let server = server.expect("nothing to bind");
                let handle = server.handle();
                server.run().unwrap_or_else(|error| panic!("ended with: {error}"));
                eprintln!("refused: {}", handle.stats().refused);
            }
        }
    )*};
}
models!(forking, prefork);

fn connect(server: &Served) -> io::Result<UnixStream> {
    let client = UnixStream::connect_addr(&name(server.process().0))?;
    client.set_read_timeout(Some(DEADLINE))?;
    Ok(client)
}

/// Each worker has all the errors before it.
fn lives_on(served: &str) -> Result<(), Failed> {
    let mut server = Served::start(served)?;
    server.at()?;
    let began = Instant::now();
    let mut alive = connect(&server)?; // So that no queue is shed.
    alive.write_all(b"here\n")?;
    alive.read_exact(&mut [0; 5])?;
    for _ in 0..200 {
        converse(connect(&server)?);
    }
    drop(alive);
    let rest = server.stop()?;
    let (about, others): (Vec<_>, Vec<_>) = rest
        .iter()
        .partition(|line| line.contains("cannot accept on"));
    let most = usize::try_from(began.elapsed().as_secs()).expect("not long") + 1;
    assert!((1..=most * 4).contains(&about.len()), "{about:?}");
    let refused = others[0].strip_prefix("refused: ").expect("its last words");
    assert!(refused.parse::<usize>()? >= OF_ONE_CONNECTION.len());
    assert_eq!(others.len(), 1, "{others:?}");
    Ok(())
}
