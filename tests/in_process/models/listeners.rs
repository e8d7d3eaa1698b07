//! Own listeners under own models: two families behind one, requests that are no sockets, descriptors that cannot be polled. F35.

use std::collections::VecDeque;
use std::fs::File;
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use rustix::event::epoll;
use sockserv::prelude::*;
use sockserv::testing::Client;
use sockserv::{Incoming, Listener, Transport, Wait};
use sockserv_tests::{DEADLINE, Folder, wait_until};

use super::two_methods::Spawning;
use crate::Test;
use crate::echo::echo_lines;

pub(super) fn tests() -> Vec<Test> {
    vec![
        ("f35_two_families_behind_a_listener_that_is_polled", || {
            two_families(true);
        }),
        ("f35_two_families_behind_a_listener_that_is_asked", || {
            two_families(false);
        }),
        ("f35_a_request_in_memory_sees_the_drain", in_memory),
        ("f35_a_request_in_memory_has_deadlines", in_memory_too_long),
        (
            "f35_a_descriptor_that_cannot_be_polled_is_named",
            cannot_be_polled,
        ),
        ("f35_a_listener_that_panics_is_broken", panics),
        (
            "f35_a_listener_that_blocks_is_shut_down_by_sync",
            blocking_sync,
        ),
        (
            "f35_a_listener_that_blocks_is_shut_down_by_threading",
            blocking_threading,
        ),
    ]
}

/// A TCP and a Unix socket, and perhaps a descriptor that says when either has something.
struct Both {
    tcp: TcpListener,
    unix: UnixListener,
    epoll: Option<OwnedFd>,
}

impl Both {
    fn at(path: &std::path::Path, is_polled: bool) -> io::Result<Self> {
        let (tcp, unix) = (TcpListener::bind("127.0.0.1:0")?, UnixListener::bind(path)?);
        tcp.set_nonblocking(true)?;
        unix.set_nonblocking(true)?;
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for fd in [tcp.as_fd(), unix.as_fd()] {
            let data = epoll::EventData::new_u64(0);
            epoll::add(&set, fd, data, epoll::EventFlags::IN)?;
        }
        let epoll = is_polled.then_some(set);
        Ok(Self { tcp, unix, epoll })
    }
}

impl Listener for Both {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        match self.tcp.accept() {
            Ok((stream, peer)) => Ok((stream.into(), peer.into())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let (stream, _) = self.unix.accept()?;
                Ok((stream.into(), Address::Unnamed))
            }
            Err(error) => Err(error),
        }
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.epoll.as_ref().map(AsFd::as_fd)
    }

    fn local_addr(&self) -> Address {
        self.tcp.local_addr().expect("a name").into()
    }
}

#[derive(Clone)]
struct Echo;

#[server(listener = Both, model = Spawning, timeout = "30s", shutdown_grace = "30s")]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        echo_lines(stream)
    }
}

fn two_families(is_polled: bool) {
    let folder = Folder::new();
    let path = folder.join("own.sock");
    let own = Both::at(&path, is_polled).expect("free places");
    let mut server = EchoServer::builder(Echo).listener(own).bind();
    let server = server.as_mut().expect("nothing is opened");
    for _ in 0..2 {
        // It is not closed between two runs: those who come then are served by the next.
        let unix = format!("unix:{}", path.display());
        let mut clients = [
            Client::connect(server.local_addr()),
            Client::connect(unix.as_str()),
        ];
        let handle = server.handle();
        thread::scope(|scope| {
            scope.spawn(move || {
                for client in &mut clients {
                    client.send("a line\n").expect_line("a line");
                }
                handle.shutdown();
                for client in &mut clients {
                    client.expect_eof();
                }
            });
            server.serve_forever().expect("a good end");
        });
        let report = server.handle().report().expect("there was a shutdown");
        assert_eq!((report.finished(), report.cut()), (2, 0));
    }
}

/// One end of a connection whose bytes never leave the process.
#[derive(Clone, Debug, Default)]
pub(super) struct Tunnel {
    shared: Arc<(Mutex<Shared>, Condvar)>,
}

#[derive(Debug, Default)]
struct Shared {
    to_server: VecDeque<u8>,
    to_client: Vec<u8>,
    timeout: Option<Duration>,
    is_read_shut: bool,
    is_write_shut: bool,
}

impl Tunnel {
    fn change<T>(&self, change: impl FnOnce(&mut Shared) -> T) -> T {
        let changed = change(&mut self.shared.0.lock().expect("nobody panics"));
        self.shared.1.notify_all();
        changed
    }

    pub(super) fn say(&self, text: &str) {
        self.change(|bytes| bytes.to_server.extend(text.bytes()));
    }

    pub(super) fn expect(&self, text: &str) {
        wait_until(|| self.change(|bytes| bytes.to_client == text.as_bytes()));
    }

    pub(super) fn expect_end(&self) {
        wait_until(|| self.change(|bytes| bytes.is_write_shut));
    }
}

impl Transport for Tunnel {
    fn recv(&self, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        let bytes = self.shared.0.lock().expect("nobody panics");
        let patience = match wait {
            Wait::Not => Duration::ZERO,
            _ => bytes.timeout.unwrap_or(DEADLINE),
        };
        let is_silent = |bytes: &mut Shared| bytes.to_server.is_empty() && !bytes.is_read_shut;
        let waited = self.shared.1.wait_timeout_while(bytes, patience, is_silent);
        let (mut bytes, timeout) = waited.expect("nobody panics");
        match timeout.timed_out() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => bytes.to_server.read(buffer),
        }
    }

    fn send(&self, bytes: &[u8], _wait: Wait) -> io::Result<usize> {
        self.change(|own| own.to_client.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.change(|bytes| {
            bytes.is_read_shut |= how != Shutdown::Write;
            bytes.is_write_shut |= how != Shutdown::Read;
        });
        Ok(())
    }

    fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.change(|bytes| bytes.timeout = timeout);
        Ok(())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Has these, and then nothing for a while.
#[derive(Default)]
struct Tunnels(Mutex<Vec<Tunnel>>);

impl Listener for Tunnels {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        match self.0.lock().expect("nobody panics").pop() {
            Some(tunnel) => Ok((Incoming::stream(tunnel), Address::Unnamed)),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn local_addr(&self) -> Address {
        Address::Abstract(b"memory".to_vec())
    }
}

#[derive(Clone)]
struct Inside;

#[server(listener = Tunnels, model = Spawning, timeout = "30s", shutdown_grace = "30s")]
impl Inside {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        echo_lines(stream)
    }
}

fn in_memory() {
    let tunnels = [Tunnel::default(), Tunnel::default()];
    let own = Tunnels(Mutex::new(tunnels.to_vec()));
    let server = InsideServer::builder(Inside).listener(own).bind();
    let running = server.and_then(InsideServer::spawn).expect("a thread");
    for tunnel in &tunnels {
        tunnel.say("a line\n");
        tunnel.expect("a line\n");
    }
    let report = running.shutdown().expect("a good end");
    assert_eq!((report.finished(), report.cut()), (2, 0));
    tunnels.iter().for_each(Tunnel::expect_end);
}

fn in_memory_too_long() {
    let builder = || InsideServer::builder(Inside);
    let short = Duration::from_millis(50);
    for builder in [
        builder().first_byte_timeout(short),
        builder().timeout(short),
        builder().request_timeout(short),
    ] {
        let tunnel = Tunnel::default();
        let own = Tunnels(Mutex::new(vec![tunnel.clone()]));
        let server = builder.listener(own).bind();
        let running = server.and_then(InsideServer::spawn).expect("a thread");
        tunnel.expect_end();
        wait_until(|| running.handle().stats().failed == 1);
        running.shutdown().expect("a good end");
    }
}

/// Says that it can be polled, which a file cannot; or panics in this call.
enum Broken {
    File(File),
    Panics(&'static str),
}

impl Default for Broken {
    fn default() -> Self {
        Self::Panics("accept")
    }
}

impl Broken {
    fn meet(&self, call: &str) {
        assert!(
            !matches!(self, Self::Panics(at) if *at == call),
            "as it was asked to"
        );
    }
}

impl Listener for Broken {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        self.meet("accept");
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.meet("as_fd");
        match self {
            Self::File(file) => Some(file.as_fd()),
            Self::Panics(_) => None,
        }
    }

    fn local_addr(&self) -> Address {
        self.meet("local_addr");
        Address::Abstract(b"own".to_vec())
    }
}

#[derive(Clone)]
struct Nobody;

#[server(listener = Broken, model = Spawning)]
impl Nobody {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn ends_with(own: Broken) -> String {
    let server = NobodyServer::builder(Nobody).listener(own).bind();
    let ended = server.and_then(|mut server| server.serve_forever());
    ended.expect_err("it is broken").to_string()
}

fn cannot_be_polled() {
    let folder = Folder::new();
    let file = File::create(folder.join("file")).expect("a file");
    assert_eq!(
        ends_with(Broken::File(file)),
        "cannot poll the descriptor of the listener at unix:@own: Operation not permitted (os error 1); \
         `as_fd` returns none for what epoll_ctl(2) does not take"
    );
}

fn panics() {
    for call in ["accept", "as_fd", "local_addr"] {
        let text = ends_with(Broken::Panics(call));
        let at = match call {
            "local_addr" => Address::Unnamed,
            _ => Address::Abstract(b"own".to_vec()),
        };
        assert!(
            text.starts_with(&format!("cannot accept on {at}: ")),
            "{text}"
        );
        assert!(text.contains("as it was asked to"), "{text}");
    }
}

/// A socket as std opens it: `accept` waits.
struct Blocking(TcpListener);

impl Default for Blocking {
    fn default() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("a free port"))
    }
}

impl Listener for Blocking {
    fn accept(&self) -> io::Result<(Incoming, Address)> {
        let (stream, peer) = self.0.accept()?;
        Ok((stream.into(), peer.into()))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn local_addr(&self) -> Address {
        self.0.local_addr().expect("a name").into()
    }
}

macro_rules! blocking {
    ($test:ident, $model:ident) => {
        fn $test() {
            #[derive(Clone)]
            struct Greeter;

            #[server($model, listener = Blocking)]
            impl Greeter {
                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    stream.wfile.write_all(b"hello\n")
                }
            }

            let server = GreeterServer::bind(Greeter);
            let running = server.and_then(GreeterServer::spawn).expect("a thread");
            for _ in 0..3 {
                Client::connect(running.local_addr()).expect_line("hello");
            }
            let (tell, ended) = mpsc::channel();
            thread::spawn(move || tell.send(running.shutdown()));
            let report = ended.recv_timeout(DEADLINE).expect("it ends");
            assert_eq!(report.expect("a good end").cut(), 0);
        }
    };
}
blocking!(blocking_sync, sync);
blocking!(blocking_threading, threading);
