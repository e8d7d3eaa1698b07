//! Two models that have only `dispatch` and `drain`: a thread for each request, and a few threads with a bounded queue.

use std::net::{TcpStream, UdpSocket};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sockserv::prelude::*;
use sockserv::testing::Client;
use sockserv::{Model, Phase, Running, Unit};
use sockserv_tests::{DEADLINE, Process, wait_until};

use crate::Test;

pub(super) fn tests() -> Vec<Test> {
    vec![
        ("f37_spawning_serves_each_kind", spawning::each_kind),
        ("f37_queueing_serves_each_kind", queueing::each_kind),
        ("f37_spawning_drains", spawning::drains),
        ("f37_queueing_drains", queueing::drains),
        ("f37_spawning_ends_what_waits_too_long", spawning::deadlines),
        ("f37_queueing_ends_what_waits_too_long", queueing::deadlines),
        ("f37_spawning_serves_again", spawning::serves_again),
        ("f37_queueing_serves_again", queueing::serves_again),
        ("f37_spawning_serves_one_request", spawning::one_request),
        ("f37_queueing_serves_one_request", queueing::one_request),
        ("f37_a_full_queue_gives_requests_back", full_queue),
    ]
}

pub(super) fn alone() -> Vec<Test> {
    vec![
        ("f37_spawning_ends_with_a_signal", spawning::signal),
        ("f37_queueing_ends_with_a_signal", queueing::signal),
    ]
}

/// A thread for each request.
#[derive(Debug, Default)]
pub(super) struct Spawning {
    threads: Vec<JoinHandle<()>>,
}

impl<H: Send + 'static> Model<H> for Spawning {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        self.threads.push(thread::spawn(|| unit.run()));
        Ok(())
    }

    fn drain(&mut self, until: Instant) {
        join(&mut self.threads, until);
    }
}

/// Waits for threads of which all may be in a handler that does not end.
fn join(threads: &mut Vec<JoinHandle<()>>, until: Instant) {
    while Instant::now() < until && threads.iter().any(|thread| !thread.is_finished()) {
        thread::yield_now();
    }
    let ended = threads.drain(..).filter(JoinHandle::is_finished);
    ended.for_each(|thread| thread.join().expect("a unit does not panic"));
}

/// Two threads, and a queue for one request.
#[derive(Debug)]
pub(super) struct Queueing<H> {
    queue: Option<SyncSender<Unit<H>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<H> Default for Queueing<H> {
    fn default() -> Self {
        Self {
            queue: None,
            threads: Vec::new(),
        }
    }
}

impl<H: Send + 'static> Queueing<H> {
    fn hire(&mut self) -> SyncSender<Unit<H>> {
        let (queue, work) = mpsc::sync_channel(1);
        let work = Arc::new(Mutex::new(work));
        for _ in 0..2 {
            let work: Arc<Mutex<Receiver<Unit<H>>>> = Arc::clone(&work);
            let next = move || work.lock().expect("nobody panics").recv();
            let serve = move || {
                while let Ok(unit) = next() {
                    unit.run();
                }
            };
            self.threads.push(thread::spawn(serve));
        }
        queue
    }
}

impl<H: Send + 'static> Model<H> for Queueing<H> {
    fn dispatch(&mut self, unit: Unit<H>) -> Result<(), Unit<H>> {
        let queue = self.queue.take().unwrap_or_else(|| self.hire());
        let sent = self.queue.insert(queue).try_send(unit);
        sent.map_err(|full| match full {
            TrySendError::Full(unit) => unit.refuse("the queue is full"),
            TrySendError::Disconnected(unit) => unit,
        })
    }

    fn drain(&mut self, until: Instant) {
        self.queue = None;
        join(&mut self.threads, until);
    }
}

/// What a test is told, and what it lets go on.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Lines of handlers that have begun to compute.
    begun: Sender<String>,
    gate: Arc<Mutex<Receiver<()>>>,
    errors: Sender<(Phase, String)>,
}

/// The test's side.
struct Ends {
    begun: Receiver<String>,
    gate: Sender<()>,
    errors: Receiver<(Phase, String)>,
}

fn told() -> (Told, Ends) {
    let ((begun, first), (gate, second), (errors, third)) =
        (mpsc::channel(), mpsc::channel(), mpsc::channel());
    let told = Told {
        begun,
        gate: Arc::new(Mutex::new(second)),
        errors,
    };
    let ends = Ends {
        begun: first,
        gate,
        errors: third,
    };
    (told, ends)
}

impl Told {
    /// Answers a line, and waits before that if it says so.
    fn answer(&self, line: &str) -> String {
        if line == "wait" {
            self.begun.send(line.to_owned()).expect("the test listens");
            let gate = self.gate.lock().expect("nobody panics");
            gate.recv_timeout(DEADLINE).expect("the test opens it");
        }
        format!("you said {line}")
    }

    fn error(&self, error: &RequestError) {
        // A test may have ended before.
        let _ = self.errors.send((error.phase(), error.to_string()));
    }
}

impl Ends {
    fn await_begun(&self) {
        self.begun.recv_timeout(DEADLINE).expect("it begins");
    }

    fn open(&self) {
        self.gate.send(()).expect("somebody waits");
    }

    fn error(&self) -> (Phase, String) {
        self.errors.recv_timeout(DEADLINE).expect("an error")
    }
}

fn at(running: &Running) -> std::net::SocketAddr {
    running.local_addr().as_inet().expect("a port")
}

fn ask(client: &mut Client, line: &str) {
    let wanted = format!("you said {line}");
    client.send(format!("{line}\n")).expect_line(&wanted);
}

/// The same servers and tests under each model.
macro_rules! under {
    ($($module:ident: $model:ty;)*) => {$(
        mod $module {
            use super::*;

            /// A handler that reads by itself.
            #[derive(Clone, Debug)]
            pub(super) struct Lines(pub(super) Told);

            #[server(tcp, model = $model, timeout = "30s", shutdown_grace = "30s", vis = pub(super))]
            impl Lines {
                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    let mut line = String::new();
                    while stream.rfile.read_line(&mut line)? > 0 {
                        writeln!(stream.wfile, "{}", self.0.answer(line.trim_end()))?;
                        line.clear();
                    }
                    Ok(())
                }

                fn handle_error(&mut self, error: &RequestError, _peer: &Address) {
                    self.0.error(error);
                }
            }

            /// A handler that is called with each message.
            #[derive(Clone, Debug)]
            struct Messages(Told);

            #[server(tcp, model = $model, lines, timeout = "30s", shutdown_grace = "30s")]
            impl Messages {
                fn setup(&mut self, stream: &mut Stream) -> io::Result<()> {
                    stream.wfile.write_all(b"hello\n")
                }

                fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
                    replies.send(self.0.answer(&String::from_utf8_lossy(&line)))
                }
            }

            /// A handler whose methods are called.
            #[derive(Clone, Debug)]
            struct Commands(Told);

            #[server(tcp, model = $model, lines)]
            impl Commands {
                #[command("SAY")]
                fn say(&mut self, word: String) -> String {
                    self.0.answer(&word)
                }
            }

            /// A handler of packets and of streams.
            #[derive(Clone, Debug)]
            struct Either(Told);

            #[server(tcp, udp, model = $model)]
            impl Either {
                fn handle<R: Request>(&mut self, request: &mut R) -> io::Result<()> {
                    let mut line = String::new();
                    let (rfile, wfile) = request.files();
                    rfile.read_line(&mut line)?;
                    write!(wfile, "{}\n", self.0.answer(line.trim_end()))
                }
            }

            fn lines(told: Told) -> Running {
                LinesServer::bind_to("127.0.0.1:0", Lines(told)).and_then(LinesServer::spawn).expect("a free port")
            }

            fn messages(told: Told) -> Running {
                MessagesServer::bind_to("127.0.0.1:0", Messages(told)).and_then(MessagesServer::spawn).expect("a free port")
            }

            pub(super) fn each_kind() {
                let (told, _ends) = told();
                let running = lines(told.clone());
                let mut client = Client::connect(&running);
                ["one", "two"].into_iter().for_each(|line| ask(&mut client, line));
                client.eof().expect_eof();
                let stats = running.handle().stats();
                assert_eq!((stats.accepted, stats.bytes_in, stats.bytes_out), (1, 8, 26));
                running.shutdown().expect("a good end");

                let running = messages(told.clone());
                let mut client = Client::connect(&running);
                client.expect_line("hello");
                ["one", "two"].into_iter().for_each(|line| ask(&mut client, line));
                client.send("three\nfour\nfi").expect_line("you said three").expect_line("you said four");
                client.send("ve\n").expect_line("you said five").eof().expect_eof();
                wait_until(|| running.handle().stats().finished == 1);
                running.shutdown().expect("a good end");

                let server = CommandsServer::bind_to("127.0.0.1:0", Commands(told.clone()));
                let running = server.and_then(CommandsServer::spawn).expect("a free port");
                Client::connect(&running).send("SAY hello\n").expect_line("you said hello").eof().expect_eof();
                running.shutdown().expect("a good end");

                let server = EitherServer::bind_to("127.0.0.1:0", Either(told));
                let running = server.and_then(EitherServer::spawn).expect("a free port");
                Client::connect(&running).send("a line\n").expect_line("you said a line").expect_eof();
                assert_eq!(packet(&running, "a packet"), "you said a packet\n");
                wait_until(|| running.handle().stats().finished == 2);
                running.shutdown().expect("a good end");
            }

            pub(super) fn drains() {
                for serve in [lines, messages] {
                    let (told, ends) = told();
                    let running = serve(told);
                    let mut idle = Client::connect(&running);
                    idle.send("now\n");
                    while idle.line() != "you said now" {}
                    let mut busy = Client::connect(&running);
                    busy.send("wait\n");
                    ends.await_begun();
                    running.handle().shutdown();
                    idle.expect_eof();
                    ends.open();
                    while busy.line() != "you said wait" {}
                    busy.expect_eof();
                    let report = running.shutdown().expect("a good end");
                    assert_eq!((report.finished(), report.cut()), (2, 0));
                }
            }

            pub(super) fn deadlines() {
                let (told, ends) = told();
                let builder = || LinesServer::builder(Lines(told.clone())).addr("127.0.0.1:0");
                let short = Duration::from_millis(50);
                for builder in [
                    builder().first_byte_timeout(short),
                    builder().timeout(short),
                    builder().request_timeout(short),
                ] {
                    let running = builder.bind().and_then(LinesServer::spawn).expect("a free port");
                    Client::connect(&running).expect_eof();
                    let (phase, text) = ends.error();
                    assert_eq!(phase, Phase::Handle, "{text}");
                    running.shutdown().expect("a good end");
                }
                // Half a line is owed to: when the grace is over it sees the end, and what does not end then is cut.
                let grace = builder().shutdown_grace(short);
                let running = grace.bind().and_then(LinesServer::spawn).expect("a free port");
                let mut half = Client::connect(&running);
                half.send("now\nhalf a li").expect_line("you said now");
                let mut computes = Client::connect(&running);
                computes.send("wait\n");
                ends.await_begun();
                let report = running.shutdown().expect("an end");
                assert_eq!((report.finished(), report.cut()), (1, 1));
                half.expect_line("you said half a li").expect_eof();
                computes.expect_eof();
                ends.open();
            }

            pub(super) fn serves_again() {
                let (told, _ends) = told();
                let mut server = LinesServer::bind_to("127.0.0.1:0", Lines(told)).expect("a free port");
                for _ in 0..2 {
                    let handle = server.handle();
                    let at = server.local_addr().as_inet().expect("a port");
                    // It is bound again inside `serve_forever` only, so the client may come too early.
                    let client = thread::spawn(move || {
                        let mut found = None;
                        wait_until(|| {
                            found = TcpStream::connect(at).ok();
                            found.is_some()
                        });
                        let mut client = found.expect("it was awaited");
                        client.write_all(b"hello\n").expect("it fits");
                        let mut reply = [0; 15];
                        client.read_exact(&mut reply).expect("a reply");
                        handle.shutdown();
                        assert_eq!(client.read(&mut reply).expect("an end"), 0);
                    });
                    server.serve_forever().expect("a good end");
                    client.join().expect("it was served");
                }
            }

            pub(super) fn one_request() {
                let (told, ends) = told();
                let mut server = LinesServer::bind_to("127.0.0.1:0", Lines(told)).expect("a free port");
                let at = server.local_addr().as_inet().expect("a port");
                let mut client = TcpStream::connect(at).expect("it listens");
                client.write_all(b"wait\n").expect("it fits");
                assert!(server.handle_request().expect("a request"));
                ends.await_begun();
                ends.open();
                client.shutdown(std::net::Shutdown::Write).expect("it is open");
                assert_eq!(io::read_to_string(client).expect("an end"), "you said wait\n");
            }

            pub(super) fn signal() {
                let (told, ends) = told();
                let server = LinesServer::bind_to("127.0.0.1:0", Lines(told)).expect("a free port");
                let (at, handle) = (server.local_addr().as_inet().expect("a port"), server.handle());
                let clients = thread::spawn(move || {
                    let mut idle = Client::connect(at);
                    ask(&mut idle, "hello");
                    let mut busy = Client::connect(at);
                    busy.send("wait\n");
                    ends.await_begun();
                    Process(std::process::id()).signal(Signal::TERM);
                    idle.expect_eof();
                    ends.open();
                    busy.expect_line("you said wait").expect_eof();
                });
                server.run().expect("nobody was cut");
                clients.join().expect("they were served");
                let report = handle.report().expect("there was a shutdown");
                assert_eq!((report.finished(), report.cut()), (2, 0));
            }
        }
    )*};
}
under! {
    spawning: Spawning;
    queueing: Queueing<Self>;
}

fn packet(running: &Running, text: &str) -> String {
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let patience = client.set_read_timeout(Some(DEADLINE));
    patience
        .and_then(|()| client.connect(at(running)))
        .expect("a loopback address");
    client.send(text.as_bytes()).expect("it is sent");
    let mut reply = [0; 64];
    let count = client.recv(&mut reply).expect("a reply");
    String::from_utf8_lossy(&reply[..count]).into_owned()
}

fn full_queue() {
    let (told, ends) = told();
    let server = queueing::LinesServer::bind_to("127.0.0.1:0", queueing::Lines(told));
    let running = server
        .and_then(queueing::LinesServer::spawn)
        .expect("a free port");
    let mut clients = [0; 2].map(|_| {
        let mut client = Client::connect(&running);
        client.send("wait\n");
        ends.await_begun();
        client
    });
    // It finds no thread that is free, and waits in the queue; those after it do not even find that.
    let mut queued = Client::connect(&running);
    queued.send("hello\n");
    wait_until(|| running.handle().stats().active == 3);
    for _ in 0..2 {
        Client::connect(&running).expect_eof();
        assert_eq!(
            ends.error(),
            (Phase::Dispatch, "dispatch: the queue is full".to_owned())
        );
    }
    for client in &mut clients {
        ends.open();
        client.expect_line("you said wait").eof().expect_eof();
    }
    queued.expect_line("you said hello").eof().expect_eof();
    wait_until(|| running.handle().stats().active == 0);
    let stats = running.handle().stats();
    assert_eq!((stats.accepted, stats.finished), (5, 3));
    running.shutdown().expect("a good end");
}
