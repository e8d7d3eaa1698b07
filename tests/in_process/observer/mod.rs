//! One start and one stop for each request, on every path: promise 10, and test 14 of the peers' list.
#![allow(
    unsafe_code,
    reason = "the word `unsafe(forking)`: the handler needs no lock that a thread of this test holds"
)]

use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sockserv::observer::{Event, Observer, Reason, Refusal};
use sockserv::prelude::*;
use sockserv::{Kind, Phase, Running, Timeout};

use crate::Test;

mod children;
mod odd;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("p10_sync_starts_and_stops", sync::all_paths),
        ("p10_threading_starts_and_stops", threading::all_paths),
        ("p10_a_deadline_is_the_reason", deadlines),
        ("p10_a_write_that_waits_too_long_is_the_reason", slow_reader),
        ("p10_a_refused_peer_has_neither", refused),
        ("p10_a_request_that_is_cut", cut),
        ("p10_a_request_that_is_left_behind", left_behind),
        ("p10_a_thread_that_does_not_start", odd::no_thread),
        ("p10_a_unit_that_is_dropped", odd::dropped_unit),
        ("p10_a_packet_has_both", odd::packet),
        ("p10_an_observer_that_panics_harms_nothing", odd::panicking),
        ("p10_observers_stand_around_the_methods", odd::around),
    ]
}

/// Tests that fork.
pub(crate) fn alone() -> Vec<Test> {
    vec![
        ("p10_forking_starts_and_stops", forking::all_paths),
        ("p10_children_that_die", children::die),
        ("p10_children_that_are_late_or_cut", children::late_or_cut),
        ("p10_a_fork_that_is_refused", children::no_fork),
        ("p10_a_rest_in_a_child", children::rest_in_child),
    ]
}

/// What was told of one request.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Told {
    transport: Option<Kind>,
    duration: Duration,
    bytes: (u64, u64),
    phase: Phase,
    reason: Reason,
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    live: Vec<(u64, Address)>,
    ended: Vec<Told>,
    failed: Vec<(Option<u64>, Phase)>,
    refused: Vec<Refusal>,
    ends: Vec<&'static str>,
    around: Vec<u64>,
    wrong: Vec<String>,
}

impl Observer for Events {
    fn observe(&self, event: &Event<'_>) {
        let mut log = self.0.lock().expect("no panic under this lock");
        match event {
            Event::Started(start) => {
                if log.live.iter().any(|(live, _)| *live == start.request) {
                    log.wrong.push(format!("started twice: {start:?}"));
                }
                log.live.push((start.request, start.peer.clone()));
            }
            Event::Stopped(stop) => {
                let place = log.live.iter().position(|(live, _)| *live == stop.request);
                let Some(place) = place else {
                    return log.wrong.push(format!("stopped without a start: {stop:?}"));
                };
                let (_, peer) = log.live.swap_remove(place);
                if peer != *stop.peer {
                    log.wrong.push(format!("of another peer: {stop:?}"));
                }
                log.ended.push(Told {
                    transport: stop.transport,
                    duration: stop.duration,
                    bytes: (stop.bytes_in, stop.bytes_out),
                    phase: stop.phase,
                    reason: stop.reason,
                });
            }
            Event::Failed { request, error, .. } => log.failed.push((*request, error.phase())),
            Event::Refused { why, .. } => log.refused.push(*why),
            Event::Draining => log.ends.push("draining"),
            Event::Drained(_) => log.ends.push("drained"),
            other => log.wrong.push(format!("unexpected: {other:?}")),
        }
    }

    fn around(&self, request: u64, call: &mut dyn FnMut()) {
        self.0.lock().expect("no panic").around.push(request);
        call();
    }
}

impl Events {
    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.0.lock().expect("no panic under this lock")
    }

    /// Waits until one more request has ended and returns what was told of it. There is no other one.
    #[track_caller]
    fn next(&self) -> Told {
        let deadline = Instant::now() + sockserv_tests::DEADLINE;
        loop {
            let mut log = self.log();
            if let Some(told) = log.ended.pop() {
                assert!(log.live.is_empty() && log.ended.is_empty(), "{told:?}");
                return told;
            }
            drop(log);
            assert!(Instant::now() < deadline, "nothing was told");
            sockserv_tests::pace(Instant::now() + Duration::from_millis(1));
        }
    }

    /// Nothing is open, and nothing was told twice.
    fn check(&self) {
        let log = self.log();
        assert!(log.wrong.is_empty(), "{:#?}", log.wrong);
        assert!(log.live.is_empty(), "without a stop: {:?}", log.live);
        assert!(log.ended.is_empty(), "not asked for: {:?}", log.ended);
    }

    fn end(&self, running: Running) {
        running.shutdown().expect("a good end");
        self.check();
        assert_eq!(self.log().ends, ["draining", "drained"]);
    }
}

/// Does what its peer says.
#[derive(Debug, Default)]
struct Obeys {
    clones_badly: bool,
    drops_badly: bool,
}

impl Clone for Obeys {
    fn clone(&self) -> Self {
        assert!(!self.clones_badly, "as it was told");
        Self::default()
    }
}

impl Drop for Obeys {
    fn drop(&mut self) {
        assert!(!self.drops_badly, "as it was told");
    }
}

impl Obeys {
    fn obey(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut line = String::new();
        stream.rfile.read_line(&mut line)?;
        match line.trim_end() {
            "ok" => stream.wfile.write_all(b"fine\n"),
            "error" => Err(io::Error::other("as it was told")),
            "panic" => panic!("as it was told"),
            "drop" => {
                self.drops_badly = true;
                Ok(())
            }
            "flood" => loop {
                stream.wfile.write_all(&[b'x'; 1 << 16])?;
            },
            "thread" => stream.finish_in_thread(|stream| stream.wfile.write_all(b"elsewhere\n")),
            "child" => stream.finish_in_child(|stream| stream.wfile.write_all(b"elsewhere\n")),
            "pause" => {
                sockserv_tests::pace(Instant::now() + Duration::from_millis(50)); // A duration to be measured.
                stream.wfile.write_all(b"fine\n")
            }
            "sleep" => {
                sockserv_tests::pace(Instant::now() + Duration::from_secs(4)); // Nothing outside ends it.
                Ok(())
            }
            "exit" => std::process::exit(3),
            "abort" => std::process::abort(),
            "more" => {
                stream.wfile.write_all(b"go on\n")?;
                stream.rfile.read_line(&mut line).map(drop)
            }
            _ => Ok(()),
        }
    }
}

macro_rules! models {
    ($($module:ident: $transport:ident $model:ident $(($inner:ident))?;)*) => {$(
        mod $module {
            use super::{Events, Obeys};
            use sockserv::prelude::*;

            #[derive(Clone)]
            pub(super) struct Server(pub(super) Obeys);

            #[server($transport, $model $(($inner))?, name = Maker, vis = pub(super))]
            impl Server {
                fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
                    self.0.obey(stream)
                }

                fn verify_request(&self, peer: &Address) -> bool {
                    assert_ne!(peer.as_inet().map(|peer| peer.ip().to_string()), Some("127.0.0.3".to_owned()));
                    peer.as_inet().is_none_or(|peer| peer.ip().to_string() != "127.0.0.2")
                }

                fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
            }

            pub(super) fn builder(events: &Events) -> sockserv::Builder<Server, Maker> {
                Maker::builder(Server(Obeys::default())).addr("127.0.0.1:0").observer(events.clone())
            }

            pub(super) fn serve(builder: sockserv::Builder<Server, Maker>) -> sockserv::Running {
                builder.bind().and_then(|server| server.spawn()).expect("it serves")
            }

            pub(super) fn all_paths() {
                let events = Events::default();
                let running = serve(builder(&events));
                super::all_paths(stringify!($module), &events, running);
            }
        }
    )*};
}
models! {
    sync: tcp sync;
    threading: tcp threading;
    forking: tcp unsafe(forking);
}

/// Sends a command; `end` ends the client's side too.
fn say(running: &Running, command: &str) -> TcpStream {
    let at = running.local_addr().as_inet().expect("a port");
    let mut client = TcpStream::connect(at).expect("it listens");
    client.write_all(command.as_bytes()).expect("it is taken");
    client
}

/// Resets the connection. Closing it would not: a child of this process has a copy of the socket.
fn reset(client: &TcpStream) {
    rustix::net::connect_unspec(client).expect("connect(2): it dissolves the association");
}

/// The paths that all models have.
fn all_paths(model: &str, events: &Events, running: Running) {
    let in_child = model == "forking";
    let ends = |command: &str| {
        let client = say(&running, command);
        let text = io::read_to_string(&client).unwrap_or_default();
        (text, events.next())
    };
    let (text, told) = ends("ok\n");
    assert_eq!((&*text, told.bytes), ("fine\n", (3, 5)));
    assert_eq!((told.phase, told.reason), (Phase::Close, Reason::Finished));
    assert_eq!(told.transport, Some(Kind::Tcp));
    let (_, told) = ends("pause\n");
    assert!(told.duration >= Duration::from_millis(50), "{told:?}");
    assert!(told.duration < Duration::from_secs(2), "{told:?}");
    let expected = [
        ("error\n", Phase::Handle, Reason::Failed),
        ("panic\n", Phase::Handle, Reason::Panicked),
        ("drop\n", Phase::Close, Reason::Panicked),
    ];
    for (command, phase, reason) in expected {
        let (_, told) = ends(command);
        assert_eq!((told.phase, told.reason), (phase, reason), "{command}");
    }
    let phases: Vec<_> = events.log().failed.iter().map(|failed| failed.1).collect();
    match in_child {
        true => assert!(phases.is_empty(), "the children told of them"),
        false => assert_eq!(phases, [Phase::Handle, Phase::Handle, Phase::Close]),
    }
    if !in_child {
        let (text, told) = ends("thread\n");
        assert_eq!((&*text, told.reason), ("elsewhere\n", Reason::Finished));
    }
    // The peer leaves in the middle.
    let mut client = say(&running, "more\n");
    client.read_exact(&mut [0; 6]).expect("it goes on");
    reset(&client);
    let told = events.next();
    assert_eq!(told.reason, Reason::Disconnected);
    assert_eq!(told.bytes, (5, 6));
    // A shutdown tells it, and it ends well.
    let mut client = say(&running, "more\n");
    client.read_exact(&mut [0; 6]).expect("it goes on");
    running.shutdown().expect("a good end");
    assert_eq!(events.next().reason, Reason::Finished);
    events.check();
}

fn deadlines() {
    let short = Duration::from_millis(100);
    for in_thread in [false, true] {
        for (timeout, command) in [
            (Timeout::FirstByte, ""),
            (Timeout::Read, "half a li"),
            (Timeout::Request, "half a li"),
        ] {
            let events = Events::default();
            macro_rules! spawn {
                ($module:ident) => {{
                    let builder = $module::builder(&events);
                    let builder = match timeout {
                        Timeout::FirstByte => builder.first_byte_timeout(short),
                        Timeout::Read => builder.timeout(short),
                        _ => builder.request_timeout(short),
                    };
                    $module::serve(builder)
                }};
            }
            let running = match in_thread {
                true => spawn!(threading),
                false => spawn!(sync),
            };
            let client = say(&running, command);
            let told = events.next();
            assert_eq!(told.reason, Reason::TimedOut(timeout), "{in_thread}");
            assert_eq!(told.bytes, (command.len() as u64, 0));
            assert!(told.duration >= short / 2, "{told:?}"); // The table's clock is coarse.
            drop(client);
            events.end(running);
        }
    }
}

fn slow_reader() {
    let events = Events::default();
    let builder = threading::builder(&events).timeout(Duration::from_millis(100));
    let running = threading::serve(builder);
    let client = say(&running, "flood\n");
    let told = events.next();
    assert_eq!(told.reason, Reason::TimedOut(Timeout::Write));
    assert!(told.bytes.1 > 0);
    drop(client);
    events.end(running);
}

fn refused() {
    let events = Events::default();
    let builder = threading::builder(&events);
    let running = threading::serve(builder);
    for (peer, count) in [([127, 0, 0, 2], 1), ([127, 0, 0, 3], 2)] {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        let from = std::net::SocketAddr::from((peer, 0));
        socket.bind(&from.into()).expect("a loopback address");
        let at = running.local_addr().as_inet().expect("a port");
        socket.connect(&at.into()).expect("it listens");
        let mut client = TcpStream::from(socket);
        assert_eq!(client.read(&mut [0]).expect("an end"), 0);
        assert_eq!(events.log().refused, vec![Refusal::Verify; count]);
    }
    assert_eq!(
        events.log().failed,
        [(None, Phase::Verify)],
        "the second one panicked"
    );
    assert_eq!(running.handle().stats().refused, 2);
    events.end(running);
}

fn cut() {
    for in_thread in [false, true] {
        let events = Events::default();
        macro_rules! spawn {
            ($module:ident) => {
                $module::serve($module::builder(&events).shutdown_grace(Duration::ZERO))
            };
        }
        let running = match in_thread {
            true => spawn!(threading),
            false => spawn!(sync),
        };
        let mut client = say(&running, "flood\n");
        client.read_exact(&mut [0; 1]).expect("it writes");
        let report = running.shutdown().expect("a good end");
        assert_eq!(report.cut(), 1, "{report}");
        assert_eq!(events.next().reason, Reason::Cut, "{in_thread}");
        events.check();
    }
}

fn left_behind() {
    let events = Events::default();
    let builder = threading::builder(&events).shutdown_grace(Duration::ZERO);
    let running = threading::serve(builder);
    let handle = running.handle();
    let client = say(&running, "sleep\n");
    let report = running.shutdown().expect("a good end");
    assert_eq!(report.cut(), 1, "{report}");
    let told = events.log().ended.pop().expect("it was told before");
    assert_eq!((told.reason, told.phase), (Reason::Cut, Phase::Handle));
    assert_eq!(told.bytes, (6, 0));
    sockserv_tests::wait_until(|| handle.stats().active == 0); // It wakes up.
    events.check(); // Its real end is not told again.
    drop(client);
}
