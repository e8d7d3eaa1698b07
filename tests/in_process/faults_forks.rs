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
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sockserv::prelude::*;
use sockserv::{Incoming, Listener};
use sockserv_tests::{DEADLINE, wait_until};

use crate::Test;
use crate::faults::{
    Fault, Faulty, OF_ONE_CONNECTION, OF_THE_MACHINE, answer, converse, lame_faults,
    try_to_converse,
};
use crate::served::{self, Served, ended};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("a02_forking_lives_through_each_errno", || {
            lives_on("failing_forking")
        }),
        Trial::test("a02_prefork_lives_through_each_errno", || {
            lives_on("failing_prefork")
        }),
        Trial::test("a06_forking_stands_a_break_at_any_call", || {
            breaks("breaking_forking")
        }),
        Trial::test("a06_prefork_stands_a_break_at_any_call", || {
            breaks("breaking_prefork")
        }),
        Trial::test("a01_a_worker_without_descriptors_turns_nobody_away", poor),
    ]
}

pub(crate) fn served() -> Vec<Test> {
    vec![
        ("failing_forking", || forking::run(4, Script::fails())),
        ("failing_prefork", || prefork::run(4, Script::fails())),
        ("breaking_forking", || forking::run(1, Script::breaks())),
        ("breaking_prefork", || prefork::run(1, Script::breaks())),
        ("poor_prefork", poor_worker),
    ]
}

/// Fails before each connection as long as there is an error left, and hands it out over a faulty transport.
struct Script {
    listener: UnixListener,
    errors: Mutex<VecDeque<Errno>>,
    /// What is wrong with the transport of a connection, by its number.
    fault: fn(usize) -> Fault,
    has_failed: AtomicBool,
    accepted: AtomicUsize,
}

fn name(process: u32) -> SocketAddr {
    SocketAddr::from_abstract_name(format!("sockserv-faults-{process}")).expect("a short name")
}

impl Script {
    fn new(errors: &[Errno], fault: fn(usize) -> Fault) -> io::Result<Self> {
        let listener = UnixListener::bind_addr(&name(std::process::id()))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            errors: Mutex::new(errors.iter().copied().collect()),
            fault,
            has_failed: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
        })
    }

    fn fails() -> io::Result<Self> {
        let fault = |nth| lame_faults().cycle().nth(nth).expect("it has no end");
        Self::new(&[&OF_ONE_CONNECTION[..], &OF_THE_MACHINE].concat(), fault)
    }

    /// Each transport breaks one call later than the one before it.
    fn breaks() -> io::Result<Self> {
        Self::new(&[], |nth| Fault::break_at(nth / 2, nth % 2 == 1))
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
        let faulty = Faulty::new(stream, (self.fault)(nth), Arc::default());
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

            pub(super) fn run(workers: usize, script: io::Result<Script>) {
                let script = script.expect("a fresh name");
                let server = TalkServer::builder(Talk).listener(script).workers(workers);
                let server = server.bind().expect("nothing to bind");
                let handle = server.handle();
                ended(server.run());
                let stats = handle.stats();
                let (finished, failed) = (stats.finished, stats.failed);
                eprintln!("{} {finished} {failed}", stats.refused);
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
        .into_iter()
        .partition(|line| line.contains("cannot accept on"));
    let most = usize::try_from(began.elapsed().as_secs()).expect("not long") + 1;
    assert!((1..=most * 4).contains(&about.len()), "{about:?}");
    let [refused, ..] = counts(&others)?;
    assert!(refused >= OF_ONE_CONNECTION.len());
    Ok(())
}

/// The last words of a server, which says nothing else.
fn counts(said: &[String]) -> Result<[usize; 3], Failed> {
    assert_eq!(said.len(), 1, "{said:?}");
    let counts: Result<Vec<usize>, _> = said[0].split(' ').map(str::parse).collect();
    Ok(counts?.try_into().expect("refused, finished, failed"))
}

/// Whatever call breaks, the next connection is served; those that break too late to matter are the last.
fn breaks(served: &str) -> Result<(), Failed> {
    let mut server = Served::start(served)?;
    server.at()?;
    let mut broken = 0;
    while !(try_to_converse(connect(&server)?) & try_to_converse(connect(&server)?)) {
        broken += 1;
    }
    assert!(broken > 20, "{broken}: at least one for each byte");
    let [refused, finished, failed] = counts(&server.stop()?)?;
    assert_eq!((refused, finished + failed), (0, 2 * broken + 2));
    assert!(failed > 40, "{failed}");
    Ok(())
}

/// All but its last worker may open nothing.
#[derive(Clone)]
struct Poor;

#[server(tcp, prefork(workers = 4), addr = "127.0.0.1:0")]
impl Poor {
    fn worker_start(&mut self, worker: usize) -> io::Result<()> {
        if worker < 3 {
            let maximum = getrlimit(Resource::Nofile).maximum;
            let current = Some(0);
            setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
        }
        Ok(())
    }

    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }
}

fn poor_worker() {
    ended(PoorServer::bind(Poor).and_then(PoorServer::run));
}

/// Those that cannot take a client, and were woken for it, leave it to the one that can.
fn poor() -> Result<(), Failed> {
    let mut server = Served::start("poor_prefork")?;
    let at = server.at()?;
    let workers = || server.process().children().into_iter();
    wait_until(|| workers().filter(|(worker, _)| worker.sleeps()).count() == 4);
    for _ in 0..10 {
        let mut client = served::connect(&at)?;
        let mut echo = [0; 4];
        client.write_all(b"here")?;
        client.read_exact(&mut echo)?;
    }
    let said = server.stop()?;
    let is_known = |line: &String| line.contains("Too many open files");
    assert!(said.iter().all(is_known), "{said:?}");
    Ok(())
}
