//! Models that have some of the other methods, too: limits of their own, times of their own, and ours inside.

use std::collections::VecDeque;
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use sockserv::prelude::*;
use sockserv::testing::Client;
use sockserv::{Forking, Model, Options, Phase, UncheckedPrefork, Unit, Workers};
use sockserv_tests::{DEADLINE, Process, wait_until};

use crate::Test;

pub(super) fn tests() -> Vec<Test> {
    vec![
        ("f37_a_model_without_room_is_given_no_packet", packets_wait),
        ("f37_a_model_without_room_is_given_no_stream", streams_wait),
        (
            "f37_a_model_without_room_is_given_nothing_in_a_drain",
            drain_waits,
        ),
        ("f37_what_a_model_can_run_limits_the_server", most),
        ("f37_a_unit_without_a_handler_is_reported", no_handler),
        ("f37_a_model_that_cannot_start_ends_the_run", no_start),
        (
            "f37_a_models_time_makes_the_descriptor_readable",
            due_from_outside,
        ),
    ]
}

pub(super) fn alone() -> Vec<Test> {
    vec![
        ("f37_a_model_may_hold_forking", forking_inside),
        ("f37_a_model_may_hold_prefork", prefork_inside),
    ]
}

/// One request at a time, on a thread of its own; more is a mistake.
#[derive(Debug, Default)]
struct Single {
    is_busy: Arc<AtomicBool>,
}

impl<H: Send + 'static> Model<H> for Single {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        let (is_busy, server) = (Arc::clone(&self.is_busy), unit.server().clone());
        if is_busy.swap(true, Ordering::SeqCst) {
            return Err(unit.refuse("there was no room"));
        }
        thread::spawn(move || {
            unit.run();
            is_busy.store(false, Ordering::SeqCst);
            server.wake();
        });
        Ok(())
    }

    fn drain(&mut self, _until: Instant) {}

    fn has_room(&self, _is_stream: bool) -> bool {
        !self.is_busy.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct Hello;

#[server(tcp, udp, model = Single, addr = "127.0.0.1:0")]
impl Hello {
    fn handle<R: Request>(&mut self, request: &mut R) -> io::Result<()> {
        let mut line = String::new();
        request.rfile().read_line(&mut line)?;
        write!(request.wfile(), "hello, {}", line.trim_end())
    }
}

/// More than are received at once.
const MANY: usize = 100;

fn packets_wait() {
    let server = HelloServer::bind(Hello).expect("a free port");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let at = server.local_addr().as_inet().expect("a port");
    client.set_read_timeout(Some(DEADLINE)).expect("it is ours");
    client.connect(at).expect("a loopback address");
    for _ in 0..MANY {
        client.send(b"you").expect("it is sent");
    }
    let running = server.spawn().expect("a thread");
    for _ in 0..MANY {
        let mut reply = [0; 16];
        let count = client.recv(&mut reply).expect("a reply");
        assert_eq!(&reply[..count], b"hello, you");
    }
    wait_until(|| running.handle().stats().finished == MANY as u64);
    assert_eq!(running.handle().stats().failed, 0);
    running.shutdown().expect("a good end");
}

fn streams_wait() {
    let running = HelloServer::bind(Hello).and_then(HelloServer::spawn);
    let running = running.expect("a free port");
    let mut clients = [0; 5].map(|_| Client::connect(&running));
    let connect = |client: &mut Client| client.send("you\n").rest();
    for client in &mut clients {
        assert_eq!(connect(client), b"hello, you");
    }
    wait_until(|| running.handle().stats().finished == 5);
    running.shutdown().expect("a good end");
}

fn drain_waits() {
    let server = HelloServer::bind(Hello).expect("a free port");
    let at = server.local_addr().as_inet().expect("a port");
    let mut clients = [0; 5].map(|_| {
        let mut client = TcpStream::connect(at).expect("it listens");
        client.write_all(b"you\n").expect("it fits");
        client
    });
    server.handle().shutdown();
    let report = server.spawn().expect("a thread").shutdown();
    let report = report.expect("a good end");
    assert_eq!((report.finished(), report.cut()), (5, 0));
    for client in &mut clients {
        let text = io::read_to_string(client).expect("an end");
        assert_eq!(text, "hello, you");
    }
}

/// A thread for each request, of which there are so many at most.
#[derive(Debug)]
struct AtMost(usize);

impl<H: Send + 'static> Model<H> for AtMost {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        thread::spawn(|| unit.run());
        Ok(())
    }

    fn drain(&mut self, _until: Instant) {}

    fn most(&self, _options: &Options) -> Option<usize> {
        Some(self.0)
    }
}

#[derive(Clone)]
struct Echo;

#[server(tcp, model = AtMost, addr = "127.0.0.1:0", on_full = "refuse", banner = "full\n")]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut line = String::new();
        while stream.rfile.read_line(&mut line)? > 0 {
            stream.wfile.write_all(line.as_bytes())?;
            line.clear();
        }
        Ok(())
    }
}

fn most() {
    let server = EchoServer::builder(Echo).model(AtMost(2)).bind();
    let running = server.and_then(EchoServer::spawn).expect("a free port");
    assert_eq!(running.handle().max_connections(), 2);
    let mut clients = [0; 2].map(|_| {
        let mut client = Client::connect(&running);
        client.send("one\n").expect_line("one");
        client
    });
    Client::connect(&running).expect_line("full").expect_eof();
    clients[0].eof().expect_eof();
    wait_until(|| running.handle().stats().active == 1);
    let mut next = Client::connect(&running);
    next.send("two\n").expect_line("two");
    assert_eq!(running.handle().stats().refused, 1);
    running.shutdown().expect("a good end");
}

/// Forgets that a handler is to be made.
#[derive(Debug, Default)]
struct Forgets;

impl<H> Model<H> for Forgets {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        unit.run();
        Ok(())
    }

    fn drain(&mut self, _until: Instant) {}

    fn admit(&mut self, unit: Unit<H>, _prototype: &H) -> Result<(), Unit<H>> {
        self.dispatch(unit)
    }
}

#[derive(Clone)]
struct Told(mpsc::Sender<(Phase, String)>);

#[server(tcp, model = Forgets, addr = "127.0.0.1:0")]
impl Told {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn handle_error(&mut self, error: &RequestError, _peer: &Address) {
        let told = self.0.send((error.phase(), error.to_string()));
        told.expect("the test listens");
    }
}

fn no_handler() {
    let (tell, told) = mpsc::channel();
    let running = ToldServer::bind(Told(tell)).and_then(ToldServer::spawn);
    let running = running.expect("a free port");
    Client::connect(&running).expect_eof();
    let (phase, text) = told.recv_timeout(DEADLINE).expect("an error");
    assert_eq!(phase, Phase::Dispatch);
    assert!(text.contains("without a handler"), "{text}");
    running.shutdown().expect("a good end");
}

/// Calls `worker_start` when it starts.
#[derive(Debug, Default)]
struct Starts;

impl<H> Model<H> for Starts {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        unit.run();
        Ok(())
    }

    fn drain(&mut self, _until: Instant) {}

    fn start(
        &mut self,
        prototype: &H,
        worker_start: fn(&mut H, usize) -> io::Result<()>,
    ) -> io::Result<()>
    where
        H: Clone,
    {
        worker_start(&mut prototype.clone(), 7)
    }
}

#[derive(Clone)]
struct Fails;

#[server(tcp, model = Starts, addr = "127.0.0.1:0")]
impl Fails {
    fn worker_start(&mut self, worker: usize) -> io::Result<()> {
        Err(io::Error::other(format!("worker {worker} has no licence")))
    }

    fn handle(&mut self, _stream: &mut Stream) {}
}

fn no_start() {
    let mut server = FailsServer::bind(Fails).expect("a free port");
    let error = server.serve_forever().expect_err("it cannot start");
    assert_eq!(error.to_string(), "worker 7 has no licence");
}

/// Keeps each request for a moment.
struct Delayed<H> {
    queue: VecDeque<(Instant, Unit<H>)>,
}

impl<H> Default for Delayed<H> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
        }
    }
}

impl<H> Model<H> for Delayed<H> {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        let due = Instant::now() + Duration::from_millis(100);
        self.queue.push_back((due, unit));
        Ok(())
    }

    fn next_due(&self) -> Option<Instant> {
        self.queue.front().map(|(due, _)| *due)
    }

    fn end_of_turn(&mut self) {
        let is_due = |(due, _): &(Instant, Unit<H>)| *due <= Instant::now();
        while self.queue.front().is_some_and(is_due) {
            let first = self.queue.pop_front();
            first.into_iter().for_each(|(_, unit)| unit.run());
        }
    }

    fn drain(&mut self, _until: Instant) {}
}

#[derive(Clone)]
struct Late;

#[server(tcp, model = Delayed<Self>, addr = "127.0.0.1:0")]
impl Late {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(b"better late\n")
    }
}

fn due_from_outside() {
    let mut server = LateServer::bind(Late).expect("a free port");
    let at = server.local_addr().as_inet().expect("a port");
    let client = TcpStream::connect(at).expect("it listens");
    assert!(server.handle_request().expect("it is taken"));
    assert_eq!(server.handle().stats().active, 1);
    let fd = server.as_fd();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let patience = DEADLINE.try_into().expect("it is short");
    assert_eq!(poll(&mut fds, Some(&patience)).expect("a poll"), 1);
    assert!(!server.handle_request().expect("it does what is due"));
    let text = io::read_to_string(client).expect("an end");
    assert_eq!(text, "better late\n");
}

/// Runs in children what comes by `dispatch`, with a handler.
#[derive(Debug, Default)]
struct Forks(Forking);

impl<H> Model<H> for Forks {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        self.0.dispatch(unit)
    }

    fn drain(&mut self, until: Instant) {
        Model::<H>::drain(&mut self.0, until);
    }
}

/// `prefork`, and nothing but it.
#[derive(Debug, Default)]
struct Preforks(UncheckedPrefork);

impl<H> Model<H> for Preforks {
    const WORKERS: Workers = <UncheckedPrefork as Model<H>>::WORKERS;

    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        self.0.dispatch(unit)
    }

    fn admit(&mut self, unit: Unit<H>, prototype: &H) -> Result<(), Unit<H>>
    where
        H: Clone,
    {
        self.0.admit(unit, prototype)
    }

    fn drain(&mut self, until: Instant) {
        Model::<H>::drain(&mut self.0, until);
    }
}

/// Says which process it is in.
macro_rules! here {
    ($($name:ident: $model:ty;)*) => {$(
        #[derive(Clone)]
        struct $name;

        #[server(tcp, model = $model, addr = "127.0.0.1:0")]
        impl $name {
            fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                write!(stream.wfile, "{}", std::process::id())
            }
        }
    )*};
}
here! {
    Here: Forks;
    There: Preforks;
}

fn forking_inside() {
    let mut server = HereServer::bind(Here).expect("a free port");
    let at = server.local_addr().as_inet().expect("a port");
    for _ in 0..2 {
        let client = TcpStream::connect(at).expect("it listens");
        assert!(server.handle_request().expect("it forks"));
        let process = io::read_to_string(client).expect("an end");
        assert_ne!(process, std::process::id().to_string());
    }
    while !Process(std::process::id()).children().is_empty() {
        server.handle_request().expect("a child ends");
    }
    assert_eq!(server.handle().stats().finished, 2);
}

fn prefork_inside() {
    let mut server = ThereServer::builder(There).workers(2).bind();
    let server = server.as_mut().expect("a free port");
    let (at, handle) = (
        server.local_addr().as_inet().expect("a port"),
        server.handle(),
    );
    let client = thread::spawn(move || {
        let client = TcpStream::connect(at).expect("it listens");
        let process = io::read_to_string(client).expect("an end");
        handle.shutdown();
        process
    });
    server.serve_forever().expect("a good end");
    let process = client.join().expect("it was served");
    assert_ne!(process, std::process::id().to_string());
    assert_eq!(server.handle().stats().finished, 1);
}
