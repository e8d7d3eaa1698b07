//! Several servers in one process, some with workers or children: what one of them forks is nothing of the others.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use libtest_mimic::{Failed, Trial};
use rustix::event::epoll;
use rustix::process::Signal;
use sockserv::prelude::*;
use sockserv::{Incoming, Listener};
use sockserv_tests::{DEADLINE, Process, wait_until};

use crate::Test;
use crate::echo::ask;
use crate::served::{Served, connect, ended};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "p03_a_dead_master_of_two_servers_leaves_no_worker",
            master_of_two_dies,
        ),
        Trial::test(
            "f65_a_rest_in_a_child_beside_another_server",
            rest_beside_another,
        ),
        Trial::test(
            "f58_a_packet_port_is_free_although_anothers_workers_run",
            || port_is_free("crew_and_packets"),
        ),
        Trial::test(
            "f58_a_packet_port_is_free_although_anothers_child_runs",
            || port_is_free("child_and_packets"),
        ),
        Trial::test(
            "p03_a_hang_up_for_the_workers_is_nothing_to_a_child",
            hang_up_beside_workers,
        ),
        Trial::test(
            "f35_prefork_serves_a_listener_that_is_an_epoll_itself",
            nested,
        ),
    ]
}

/// What `trials` asks from outside.
pub(crate) fn served() -> Vec<Test> {
    vec![
        ("two_crews", two_crews),
        ("crew_and_packets", || run_good((crew::server(), once()))),
        ("child_and_packets", || run_good((child::server(), once()))),
        ("child_and_crew", || {
            run_good((child::server(), crew::server()))
        }),
        ("nested", run_nested),
    ]
}

pub(crate) fn alone() -> Vec<Test> {
    vec![
        ("d12_prefork_beside_a_pool_refuses_to_start", beside_a_pool),
        (
            "f35_prefork_ends_when_nothing_more_will_come",
            ends_when_exhausted,
        ),
        (
            "p01_a_broken_server_drains_beside_another_that_serves",
            broken_beside_another,
        ),
        ("run_serves_handlers_that_borrow", run_borrowers),
    ]
}

/// Counts where its owner can see it.
#[derive(Clone)]
struct Borrows<'a>(&'a AtomicUsize);

#[server(tcp)]
impl<'a> Borrows<'a> {
    fn handle(&mut self, _stream: &mut Stream) {
        if self.0.fetch_add(1, Relaxed) == 1 {
            rustix::process::kill_process(rustix::process::getpid(), Signal::TERM)
                .expect("an own process");
        }
    }
}

fn run_borrowers() {
    let served = AtomicUsize::new(0);
    let bind = || BorrowsServer::bind_to("127.0.0.1:0", Borrows(&served)).expect("a free port");
    let (one, two) = (bind(), bind());
    let _clients = [one.local_addr(), two.local_addr()]
        .map(|at| TcpStream::connect(at.as_inet().expect("a port")).expect("its queue takes it"));
    sockserv::run((one, two)).expect("a good end");
    assert_eq!(served.load(Relaxed), 2);
}

/// `rest`: what follows is answered by a child of the one that accepted.
fn obey(stream: &mut Stream) -> io::Result<()> {
    let mut line = String::new();
    while stream.rfile.read_line(&mut line)? > 0 {
        match line.trim_end() {
            "rest" => return stream.finish_in_child(obey),
            "pid" => writeln!(stream.wfile, "{}", std::process::id())?,
            _ => stream.wfile.write_all(line.as_bytes())?,
        }
        line.clear();
    }
    Ok(())
}

macro_rules! models {
    ($($module:ident: $model:ident;)*) => {$(
        mod $module {
            use sockserv::prelude::*;

            #[derive(Clone)]
            pub(super) struct Obeys;

            #[server(tcp, $model, addr = "127.0.0.1:0", vis = pub(super))]
            impl Obeys {
                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    super::obey(stream)
                }
            }

            pub(super) fn server() -> ObeysServer {
                ObeysServer::bind(Obeys).expect("a free port")
            }
        }
    )*};
}
models! {
    crew: prefork;
    child: forking;
    crowd: pool;
}

/// Answers one packet, and asks for the end of its own server.
#[derive(Clone)]
struct Once;

#[server(udp, sync, addr = "127.0.0.1:0")]
impl Once {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        datagram.server().shutdown();
        datagram.wfile.write_all(b"once")
    }
}

fn run_good(servers: impl sockserv::Several) {
    ended(sockserv::run(servers));
}

/// How many workers a server has that says nothing about it.
const WORKERS: usize = 4;

fn two_crews() {
    run_good((crew::server(), crew::server()));
}

fn children(of: Process, count: usize) -> Vec<Process> {
    wait_until(|| of.children().len() == count); // No client has come yet.
    of.children().into_iter().map(|(child, _)| child).collect()
}

fn master_of_two_dies() -> Result<(), Failed> {
    let mut servers = Served::start("two_crews")?;
    let at = [servers.at()?, servers.at()?];
    let workers = children(servers.process(), 2 * WORKERS);
    let mut clients = [connect(&at[0])?, connect(&at[1])?];
    for client in &mut clients {
        assert_eq!(ask(client, "one"), "one");
    }
    servers.process().signal(Signal::KILL);
    for client in &mut clients {
        assert_eq!(client.read(&mut [0])?, 0, "its worker ends");
    }
    wait_until(|| workers.iter().all(|worker| worker.has_ended()));
    for at in &at {
        assert!(TcpStream::connect(at).is_err(), "nobody listens");
    }
    Ok(())
}

/// Descriptors that a worker closed have other meanings later, and the child of a worker must not close those.
fn rest_beside_another() -> Result<(), Failed> {
    let mut servers = Served::start("two_crews")?;
    for at in [servers.at()?, servers.at()?] {
        for _ in 0..3 {
            let mut client = connect(&at)?;
            let worker = ask(&mut client, "pid");
            client.write_all(b"rest\n")?;
            assert_ne!(ask(&mut client, "pid"), worker);
            assert_eq!(ask(&mut client, "a word"), "a word");
        }
    }
    let rest = servers.stop()?;
    assert_eq!(rest, [""; 0], "nothing went wrong");
    Ok(())
}

fn once() -> OnceServer {
    OnceServer::bind(Once).expect("a free port")
}

/// A terminal's hang-up reaches the children of the one server, too, and means the workers of the other.
fn hang_up_beside_workers() -> Result<(), Failed> {
    let mut servers = Served::start("child_and_crew")?;
    let mut client = connect(&servers.at()?)?;
    let child = Process(ask(&mut client, "pid").parse()?);
    child.signal(Signal::HUP);
    child.expect_no_pending_signal();
    wait_until(|| child.sleeps());
    assert_eq!(ask(&mut client, "goes on"), "goes on");
    drop(client);
    servers.stop()?;
    Ok(())
}

fn port_is_free(name: &str) -> Result<(), Failed> {
    let mut servers = Served::start(name)?;
    let (stream, packet) = (servers.at()?, servers.at()?);
    let mut client = connect(&stream)?;
    assert_eq!(ask(&mut client, "one"), "one");
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(DEADLINE))?;
    socket.send_to(b"the last", &packet)?;
    assert_eq!(socket.recv(&mut [0; 8])?, 4);
    wait_until(|| UdpSocket::bind(&packet).is_ok());
    assert_eq!(ask(&mut client, "two"), "two");
    servers.stop()?;
    Ok(())
}

fn beside_a_pool() {
    let results = [
        sockserv::run((crowd::server(), crew::server())),
        sockserv::run((crew::server(), crowd::server())),
    ];
    for result in results {
        let error = result.expect_err("the threads of the pool").to_string();
        assert!(error.contains("`sockserv-0`"), "{error}");
        assert!(error.contains("`unsafe(prefork)`"), "{error}");
    }
}

/// An own listener: a TCP socket behind an epoll, or nothing any more.
struct Nested(Option<(TcpListener, OwnedFd)>);

impl Nested {
    fn new() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(0);
        epoll::add(&epoll, &listener, data, epoll::EventFlags::IN)?;
        Ok(Self(Some((listener, epoll))))
    }
}

impl Listener for Nested {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        let Some((listener, _)) = &self.0 else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let (stream, peer) = listener.accept()?;
        stream.set_nonblocking(false)?;
        Ok((stream.into(), peer.into()))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(|(_, epoll)| epoll.as_fd())
    }

    fn local_addr(&self) -> Address {
        let own = self
            .0
            .as_ref()
            .and_then(|nested| nested.0.local_addr().ok());
        own.map_or(Address::Unnamed, Address::from)
    }
}

#[derive(Clone)]
struct Inner;

#[server(prefork, listener = Nested)]
impl Inner {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        obey(stream)
    }
}

fn inner(listener: Nested) -> io::Result<InnerServer> {
    InnerServer::builder(Inner).listener(listener).bind()
}

fn run_nested() {
    ended(Nested::new().and_then(inner).and_then(InnerServer::run));
}

fn nested() -> Result<(), Failed> {
    let mut server = Served::start("nested")?;
    let at = server.at()?;
    for _ in 0..3 {
        assert_eq!(ask(&mut connect(&at)?, "a word"), "a word");
    }
    let rest = server.stop()?;
    assert_eq!(rest, [""; 0], "no worker went wrong");
    Ok(())
}

fn ends_when_exhausted() {
    let mut server = inner(Nested(None)).expect("nothing to bind");
    for _ in 0..2 {
        server.serve_forever().expect("a good end"); // The second run as the first.
        assert_eq!(Process(std::process::id()).children(), []);
    }
}

/// Has one connection, and breaks.
#[derive(Default)]
struct Breaks(Mutex<Option<UnixStream>>);

impl Listener for Breaks {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        let stream = self.0.lock().expect("nobody panics").take();
        let stream = stream.ok_or_else(|| io::Error::other("as it was asked to"))?;
        Ok((stream.into(), Address::Unnamed))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn local_addr(&self) -> Address {
        Address::Unnamed
    }
}

#[derive(Clone)]
struct Lasts;

#[server(threading, listener = Breaks, shutdown_grace = "60s")]
impl Lasts {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let _busy = stream.busy();
        stream.read_line(&mut String::new()).map(drop)
    }
}

fn broken_beside_another() {
    let (own, mut client) = UnixStream::pair().expect("a pair");
    let breaks = Breaks(Mutex::new(Some(own)));
    let broken = LastsServer::builder(Lasts).listener(breaks).bind();
    let (broken, other) = (broken.expect("nothing is opened"), crowd::server());
    let (is_broken, ends_other) = (broken.handle(), other.handle());
    let at = other.local_addr().to_string();
    let asks = thread::spawn(move || {
        wait_until(|| is_broken.is_shutting_down());
        let mut others = connect(&at).expect("the other listens");
        others.write_all(b"a word\n").expect("it is there");
        let answer = others.read(&mut [0; 7]);
        client.write_all(b"the last\n").expect("it drains");
        ends_other.shutdown();
        answer
    });
    let error = sockserv::run((broken, other)).expect_err("one is broken");
    assert!(error.to_string().contains("as it was asked to"), "{error}");
    let answer = asks.join().expect("no panic").expect("the other serves");
    assert_eq!(answer, 7);
}
