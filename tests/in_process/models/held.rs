//! Models that hold requests back: what becomes of those in a drain, and of those that are dropped. F37.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sockserv::prelude::*;
use sockserv::testing::Client;
use sockserv::{Model, Phase, Unit};
use sockserv_tests::wait_until;

use crate::Test;

pub(super) fn tests() -> Vec<Test> {
    vec![
        ("f37_what_a_model_holds_runs_in_the_drain", runs_in_drain),
        (
            "f37_what_a_model_holds_runs_after_the_others",
            runs_after_others,
        ),
        ("f37_what_a_model_drops_is_reported", drops),
    ]
}

/// Runs the first request on a thread, and holds the others until the drain.
struct Keeps<H> {
    runs: bool,
    held: Vec<Unit<H>>,
}

impl<H> Default for Keeps<H> {
    fn default() -> Self {
        Self {
            runs: false,
            held: Vec::new(),
        }
    }
}

impl<H: Send + 'static> Model<H> for Keeps<H> {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        match std::mem::replace(&mut self.runs, true) {
            true => self.held.push(unit),
            false => drop(std::thread::spawn(|| unit.run())),
        }
        Ok(())
    }

    fn drain(&mut self, until: Instant) {
        let has_time = until > Instant::now() + Duration::from_secs(30); // Most of the grace.
        let held = self.held.drain(..);
        held.filter(|_| has_time).for_each(Unit::run);
    }
}

#[derive(Clone)]
struct Greeter;

#[server(tcp, model = Keeps<Self>, shutdown_grace = "60s", addr = "127.0.0.1:0")]
impl Greeter {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(b"hello\n")?;
        stream.wfile.flush()?;
        let _busy = (stream.server().stats().accepted == 1).then(|| stream.busy());
        stream.read_line(&mut String::new()).map(drop)
    }
}

fn runs_in_drain() {
    let server = GreeterServer::bind(Greeter).and_then(GreeterServer::spawn);
    let server = server.expect("a free port");
    let mut clients = [(); 3].map(|()| Client::connect(server.local_addr()));
    clients[0]
        .expect_line("hello")
        .send("thanks\n")
        .expect_eof();
    wait_until(|| server.handle().stats().active == 2);
    let report = server.shutdown().expect("a good end");
    assert_eq!((report.finished(), report.cut()), (2, 0));
    for client in &mut clients[1..] {
        client.expect_line("hello").expect_eof();
    }
}

fn runs_after_others() {
    let server = GreeterServer::bind(Greeter).and_then(GreeterServer::spawn);
    let server = server.expect("a free port");
    let mut first = Client::connect(server.local_addr());
    first.expect_line("hello"); // It is busy until it has its line.
    let mut second = Client::connect(server.local_addr());
    wait_until(|| server.handle().stats().active == 2);
    server.handle().shutdown();
    first.send("thanks\n").expect_eof();
    let report = server.shutdown().expect("a good end");
    assert_eq!((report.finished(), report.cut()), (2, 0));
    second.expect_line("hello").expect_eof();
}

/// Takes every request, and runs none.
#[derive(Default)]
struct Drops;

impl<H> Model<H> for Drops {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        drop(unit);
        Ok(())
    }

    fn drain(&mut self, _until: Instant) {}
}

#[derive(Clone, Default)]
struct Unlucky {
    errors: Arc<Mutex<Vec<(Phase, String)>>>,
}

#[server(tcp, udp, model = Drops, addr = "127.0.0.1:0")]
impl Unlucky {
    fn handle<R: Request>(&mut self, _request: &mut R) {}

    fn handle_error(&mut self, error: &RequestError, _peer: &Address) {
        let error = (error.phase(), error.to_string());
        self.errors.lock().expect("nobody panics").push(error);
    }
}

fn drops() {
    let prototype = Unlucky::default();
    let server = UnluckyServer::bind(prototype.clone()).and_then(UnluckyServer::spawn);
    let server = server.expect("a free port");
    Client::connect(server.local_addr()).expect_eof();
    let packets = server.local_addr().as_inet().expect("an own port");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.send_to(b"a packet", packets).expect("it is there");
    let errors = || prototype.errors.lock().expect("nobody panics").clone();
    wait_until(|| errors().len() == 2);
    for (phase, text) in errors() {
        assert_eq!(phase, Phase::Dispatch);
        assert!(text.contains("the model dropped the request"), "{text}");
    }
    let handle = server.handle();
    let report = server.shutdown().expect("a good end");
    assert_eq!((report.finished(), report.cut()), (0, 0));
    assert_eq!((handle.stats().failed, errors().len()), (2, 2));
}
