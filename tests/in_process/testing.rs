//! `sockserv::testing`: scripts in memory mean what they say, and the clients' failures name the step.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::time::Duration;

use sockserv::observer::{Reason, Refusal};
use sockserv::prelude::*;
use sockserv::testing::{self, Client, Program, StreamTest};
use sockserv::{Phase, Running, Timeout};

use crate::Test;
use crate::echo::tcp_threading as echo;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("testing_reads_and_writes_in_pieces", pieces),
        ("testing_ends_silence_at_its_deadline", silence),
        ("testing_bounds_a_line_as_one_wait", one_wait),
        ("testing_bounds_the_whole_request", whole_request),
        ("testing_bounds_a_write", stuffed),
        ("testing_bounds_a_rate", rate),
        ("testing_knows_how_peers_leave", leaving),
        ("testing_names_the_phase", phases),
        ("testing_drains", drains),
        ("testing_refuses", refusals),
        ("testing_fails_by_the_step", failures),
        ("testing_is_deterministic", twice_the_same),
        ("testing_serves_both_kinds", both_kinds),
        ("testing_sends_packets", packets),
        ("testing_serves_with_other_threads", threads),
        ("testing_prepares_a_worker", worker),
        ("testing_clients_fail_by_the_step", clients),
        ("testing_clients_read_lines_and_ends", lines_and_ends),
        ("testing_clients_break_off", resets),
        ("testing_starts_programs", programs),
    ]
}

const SECOND: Duration = Duration::from_secs(1);

/// Does what each line says.
#[derive(Clone)]
struct Obeys;

#[server(tcp, threading, first_byte_timeout = "30s", timeout = "5s")]
impl Obeys {
    fn setup(&mut self, stream: &mut Stream) -> io::Result<()> {
        if stream.rfile.fill_buf()?.starts_with(b"setup") {
            return Err(io::Error::other("in setup"));
        }
        Ok(())
    }

    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut line = String::new();
        while stream.rfile.read_line(&mut line)? > 0 {
            match line.trim_end() {
                "error" => return Err(io::Error::other("in handle")),
                "panic" => panic!("in handle"),
                "unanswered" => {}
                _ => stream.wfile.write_all(line.as_bytes())?,
            }
            line.clear();
        }
        Ok(())
    }

    fn finish(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(b"bye\n")
    }

    fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
}

fn script() -> StreamTest<Obeys> {
    testing::stream(Obeys)
}

fn pieces() {
    let record = script().sends("one\ntwo\n").eof().run();
    assert_eq!(record.pieces(), [b"one\ntwo\n", &b"bye\n"[..]]);
    let record = script().sends("one\n").sends("two\n").eof().run();
    assert_eq!(record.pieces(), [b"one\n", b"two\n", b"bye\n"]);
    let record = script().short_reads(1).sends("one\n").eof().run();
    assert_eq!(record.text(), "one\nbye\n");
    let record = script().short_writes(3).sends("one\n").eof().run();
    assert_eq!(record.pieces(), [&b"one"[..], b"\n", b"bye", b"\n"]);
    assert_eq!(record.reason(), Some(Reason::Finished));
    assert_eq!(record.elapsed(), Duration::ZERO);
}

/// Asserts which deadline passed, and when.
#[track_caller]
fn assert_late(script: StreamTest<Obeys>, timeout: Timeout, elapsed: Duration) {
    let record = script.run();
    assert_eq!(
        record.reason(),
        Some(Reason::TimedOut(timeout)),
        "{record:?}"
    );
    assert_eq!(record.elapsed(), elapsed, "{record:?}");
}

fn silence() {
    let patient = || script().options(|it| it.timeout(60 * SECOND));
    assert_late(patient(), Timeout::FirstByte, 30 * SECOND);
    let just_late = patient().waits(30 * SECOND).sends("one\n").eof();
    assert_late(just_late, Timeout::FirstByte, 30 * SECOND);
    let nearly = patient().waits(30 * SECOND - Duration::from_nanos(1));
    let record = nearly.sends("one\n").eof().run();
    assert_eq!(record.text(), "one\nbye\n");
    // Later silence is another matter.
    let later = patient().sends("one\n").waits(59 * SECOND).sends("two\n");
    assert_late(later, Timeout::Read, (59 + 60) * SECOND);
}

fn one_wait() {
    let slow = || script().sends("o").waits(3 * SECOND).sends("n");
    let in_time = slow().waits(SECOND).sends("e\n").eof().run();
    assert_eq!(in_time.text(), "one\nbye\n");
    assert_eq!(in_time.elapsed(), 4 * SECOND);
    // Each piece in time, and the line not: the socket's own timeout follows within an eighth.
    let record = slow().waits(3 * SECOND).sends("e\n").eof().run();
    assert_eq!(record.reason(), Some(Reason::TimedOut(Timeout::Read)));
    let elapsed = record.elapsed();
    assert!((5 * SECOND..=6 * SECOND).contains(&elapsed), "{elapsed:?}");
}

fn whole_request() {
    let bounded = script().options(|it| it.request_timeout(7 * SECOND));
    let busy = (0..10).fold(bounded, |script, _| script.sends("one\n").waits(SECOND));
    assert_late(busy, Timeout::Request, 7 * SECOND);
}

fn stuffed() {
    let stuffed = script().options(|it| it.wbufsize(0)).stops_reading();
    // Once in `handle`, and once in `finish`.
    assert_late(stuffed.sends("one\n"), Timeout::Write, 10 * SECOND);
    let for_a_while = script().sends("one\n").stops_reading().waits(4 * SECOND);
    let record = for_a_while.reads_on().eof().run();
    assert_eq!(record.text(), "one\nbye\n");
    assert_eq!(record.elapsed(), 4 * SECOND);
}

fn rate() {
    let bounded = script().options(|it| it.timeout(60 * SECOND).min_rate(10));
    let slow = (0..100).fold(bounded, |script, _| script.sends("x").waits(SECOND));
    let record = slow.run();
    assert_eq!(record.reason(), Some(Reason::TimedOut(Timeout::Rate)));
    let elapsed = record.elapsed();
    assert!((5 * SECOND..=7 * SECOND).contains(&elapsed), "{elapsed:?}");
}

fn leaving() {
    let reset = script().sends("one\n").expects("one\n").resets().run();
    assert_eq!(reset.reason(), Some(Reason::Disconnected));
    assert!(reset.error().expect("a reset").is_disconnect());
    assert_eq!(reset.text(), "one\n");
    let left = script().sends("one\n").leaves().run();
    assert_eq!(left.reason(), Some(Reason::Disconnected));
    assert_eq!(left.text(), "");
    let ended = script().sends("one\n").eof().run();
    assert_eq!(ended.reason(), Some(Reason::Finished));
}

/// Breaks where it cannot be caught by the request's own methods.
#[derive(Debug)]
struct Breaks {
    on_clone: bool,
}

impl Clone for Breaks {
    fn clone(&self) -> Self {
        assert!(!self.on_clone, "on clone");
        Self { on_clone: false }
    }
}

impl Drop for Breaks {
    fn drop(&mut self) {
        assert!(self.on_clone || std::thread::panicking(), "on drop");
    }
}

#[server(tcp, sync)]
impl Breaks {
    fn handle(&mut self, _stream: &mut Stream) {}

    fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
}

fn phases() {
    let phase = |script: &str| {
        let record = self::script().sends(script).eof().run();
        let error = record.error().expect("it fails");
        (error.phase(), error.to_string(), record.text())
    };
    let in_setup = (Phase::Setup, "setup: in setup".into(), String::new());
    assert_eq!(phase("setup\n"), in_setup);
    let answered = || "one\nbye\n".to_owned();
    let in_handle = (Phase::Handle, "handle: in handle".into(), answered());
    assert_eq!(phase("one\nerror\n"), in_handle);
    let panicked = "handle: panicked: in handle".into();
    assert_eq!(phase("one\npanic\n"), (Phase::Handle, panicked, answered()));
    let broken = testing::stream(Breaks { on_clone: true }).run();
    assert_eq!(broken.error().expect("no clone").phase(), Phase::Dispatch);
    assert_eq!(broken.reason(), Some(Reason::Panicked));
}

fn drains() {
    let idle = script().sends("one\n").waits(SECOND).shuts_down().run();
    assert_eq!(idle.text(), "one\nbye\n");
    assert_eq!(idle.elapsed(), SECOND);
    assert_eq!(idle.reason(), Some(Reason::Finished));

    let patient = || script().options(|it| it.timeout(60 * SECOND));
    let owing = patient().sends("unanswered\n").shuts_down();
    let answered = owing.waits(7 * SECOND).sends("one\n").run();
    assert_eq!(answered.text(), "one\nbye\n", "it had eight seconds");
    assert_eq!(answered.elapsed(), 7 * SECOND);
    let told = patient().sends("unanswered\n").shuts_down().run();
    assert_eq!(told.text(), "bye\n");
    assert_eq!(told.elapsed(), 8 * SECOND);

    let stuffed = patient().options(|it| it.wbufsize(0).shutdown_grace(2 * SECOND));
    let stuffed = stuffed.sends("one\n").stops_reading().shuts_down();
    let cut = stuffed.run();
    assert_eq!(cut.reason(), Some(Reason::Cut));
    assert_eq!(cut.elapsed(), 3 * SECOND);
}

/// Serves its own machine only.
#[derive(Clone)]
struct Local;

#[server(tcp, unix_datagram, threading, deny = ["127.0.0.9"])]
impl Local {
    fn verify_request(&self, peer: &Address) -> bool {
        assert_ne!(peer.port(), Some(13), "an unlucky number");
        peer.as_inet().is_some_and(|peer| peer.ip().is_loopback())
    }

    fn handle<R: Request>(&mut self, request: &mut R) -> io::Result<()> {
        request.wfile().write_all(b"welcome\n")
    }

    fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
}

fn refusals() {
    let from = |peer: &str| {
        let peer: std::net::SocketAddr = peer.parse().expect("an address");
        testing::stream(Local).peer(peer).run()
    };
    assert_eq!(from("127.0.0.1:7").text(), "welcome\n");
    let stranger = from("192.0.2.1:7");
    assert_eq!(stranger.refusal(), Some(Refusal::Verify));
    assert_eq!((stranger.reason(), stranger.text()), (None, String::new()));
    assert_eq!(from("127.0.0.9:7").refusal(), Some(Refusal::Access));
    let unlucky = from("127.0.0.1:13");
    assert_eq!(unlucky.refusal(), Some(Refusal::Verify));
    assert_eq!(unlucky.error().expect("a panic").phase(), Phase::Verify);
}

/// What a test panics with.
fn failure(test: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(test)).expect_err("it fails");
    payload.downcast_ref::<String>().expect("a text").clone()
}

fn failures() {
    let run = |script: StreamTest<Obeys>| failure(|| drop(script.run()));
    let another = script().sends("one\n").expects("ONE\n").sends("two\n");
    assert_eq!(
        run(another),
        r#"step 2: expects("ONE\n"): "one\n" came; so far: "one\n""#
    );
    let less = script().sends("one\n").expects("one\nbye\nbye\n");
    assert_eq!(
        run(less),
        "step 2: expects(\"one\\nbye\\nbye\\n\"): the request has failed (handle: a read waited longer than `timeout`); \
         so far: \"one\\nbye\\n\""
    );
    let ended = script().sends("one\n").eof().expects("one\nbye\nbye\n");
    assert_eq!(
        run(ended),
        r#"step 3: expects("one\nbye\nbye\n"): the request has ended; so far: "one\nbye\n""#
    );
    let for_ever = || script().options(|it| it.timeout(None));
    let silent = for_ever().sends("one\n");
    let failure = run(silent);
    assert!(
        failure.contains("let the peer end it with `eof()`"),
        "{failure}"
    );
    let both_wait = for_ever().sends("one\n").expects("one\ntwo\n");
    assert_eq!(
        run(both_wait),
        "step 2: expects(\"one\\ntwo\\n\"): the handler waits for its peer, and no timeout is set; \
         so far: \"one\\n\""
    );
}

fn twice_the_same() {
    let run = || {
        let script = script().short_reads(2).short_writes(3);
        let record = script.sends("one\ntwo\n").waits(SECOND).run();
        format!("{record:?} {:?}", record.pieces())
    };
    assert_eq!(run(), run());
}

fn both_kinds() {
    testing::stream(Local).expects("welcome\n").run();
    testing::datagram(Local)
        .sends("")
        .expects("welcome\n")
        .run();
}

/// Lets other threads do the work.
#[derive(Clone)]
struct Delegates;

#[server(tcp, sync)]
impl Delegates {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        if stream.rfile.fill_buf()?.starts_with(b"r") {
            return stream.finish_in_thread(|stream| {
                let mut text = String::new();
                stream.rfile.read_to_string(&mut text)?;
                stream.wfile.write_all(text.as_bytes())?;
                Err::<(), _>(io::Error::other("on purpose"))
            });
        }
        let (mut reader, mut writer) = stream.split();
        let copy = || io::copy(&mut reader, &mut writer).map(drop);
        std::thread::scope(|scope| scope.spawn(copy).join().expect("no panic"))
    }

    fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
}

fn threads() {
    let script = || testing::stream(Delegates).short_reads(3);
    let split = script().sends("one\n").waits(SECOND).sends("two\n");
    assert_eq!(split.eof().run().text(), "one\ntwo\n");
    let rest = script().sends("rest\n").waits(SECOND).sends("two\n");
    let rest = rest.eof().run();
    assert_eq!(rest.text(), "rest\ntwo\n");
    assert_eq!(rest.error().expect("one").to_string(), "handle: on purpose");
}

/// Cannot do without what its worker has.
#[derive(Clone, Default)]
struct Prepared {
    worker: Option<usize>,
}

#[server(tcp, pool)]
impl Prepared {
    fn worker_start(&mut self, worker: usize) -> io::Result<()> {
        self.worker = Some(worker);
        Ok(())
    }

    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        writeln!(stream, "{}", self.worker.expect("it was started"))
    }
}

fn worker() {
    testing::stream(Prepared::default()).expects("0\n").run();
}

/// Answers packets, but for a few.
#[derive(Clone)]
struct Packets;

#[server(udp, sync, max_packet_size = 8)]
impl Packets {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        match &datagram.packet()[..] {
            b"error" => Err(io::Error::other("on purpose")),
            b"silence" => Ok(()),
            packet => {
                let packet = packet.to_vec();
                datagram.wfile.write_all(&packet)?;
                write!(datagram.wfile, " {}", datagram.is_truncated())
            }
        }
    }

    fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
}

fn packets() {
    let record = testing::datagram(Packets).sends("one").expects("one false");
    let record = record.sends("silence").sends("error").expects_nothing();
    let record = record.sends("123456789").expects("12345678 true").run();
    assert_eq!(record.pieces().len(), 2);
    assert_eq!(record.error().expect("one fails").phase(), Phase::Handle);
    let gone = testing::datagram(Packets).leaves().sends("one").run();
    assert_eq!(gone.error().expect("no reply").phase(), Phase::Reply);
    assert_eq!(gone.reason(), Some(Reason::Disconnected));
    let run = |script: testing::DatagramTest<Packets>| failure(|| drop(script.run()));
    let script = || testing::datagram(Packets).sends("one");
    assert_eq!(
        run(script().expects("ONE")),
        r#"step 2: expects("ONE"): "one false" came"#
    );
    assert_eq!(
        run(script().expects("one false").expects("")),
        r#"step 3: expects(""): no reply came"#
    );
    assert_eq!(
        run(script().expects_nothing()),
        r#"step 2: expects_nothing(): "one false" came"#
    );
}

fn serve() -> Running {
    let server = echo::EchoServer::bind_to("127.0.0.1:0", echo::Echo::default());
    server.and_then(|server| server.spawn()).expect("a server")
}

fn clients() {
    let server = serve();
    let failing = |script: &dyn Fn(&mut Client)| {
        let mut client = Client::connect(&server);
        failure(|| script(&mut client))
    };
    let another = |client: &mut Client| {
        client.send("one\n").expect("two");
    };
    assert_eq!(
        failing(&another),
        r#"step 2: expect("two"): "one\n" came; so far: "one\n""#
    );
    let none = |client: &mut Client| {
        client.send("one\ntwo").expect_line("one");
        client.within(Duration::from_millis(50)).expect_line("two");
    };
    assert_eq!(
        failing(&none),
        r#"step 3: expect_line("two"): nothing within 50ms; so far: "one\n""#
    );
    let ended = |client: &mut Client| {
        client.eof().expect("x");
    };
    assert_eq!(
        failing(&ended),
        r#"step 2: expect("x"): the server ended the connection; so far: """#
    );
    let talks = |client: &mut Client| {
        client.send("one\n").expect_eof();
    };
    assert_eq!(
        failing(&talks),
        r#"step 2: expect_eof(): "one\n" came; so far: "one\n""#
    );
}

fn lines_and_ends() {
    let server = serve();
    let mut client = Client::connect(&server);
    assert_eq!(client.send("a\r\nb\n").line(), "a");
    assert_eq!(client.eof().rest(), b"b\n");
    assert_eq!(client.expect_eof().received(), b"a\r\nb\n");

    let mut client = Client::connect(&server);
    client.send("leave\nand so on\n").expect_eof();
    drop(client);
    let client = Client::connect(server.local_addr());
    client.reset();
    let nobody = failure(|| drop(Client::connect("unix:/nowhere/at/all")));
    assert_eq!(
        nobody,
        "cannot connect to unix:/nowhere/at/all: No such file or directory (os error 2)"
    );
    let nowhere = failure(|| drop(Client::connect("nowhere")));
    assert!(nowhere.contains("`nowhere`"), "{nowhere}");
    server.shutdown().expect("a good end");
}

fn resets() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("its address");
    let mut client = Client::connect(at);
    client.send("unread");
    let (stream, _) = listener.accept().expect("the client");
    let mut first = [0];
    (&stream).read_exact(&mut first).expect("it has sent");
    drop(stream); // With something unread: tcp(7).
    client.expect_reset();

    let client = Client::connect(at);
    let (mut stream, _) = listener.accept().expect("the client");
    client.reset();
    let error = stream.read(&mut first).expect_err("it has left");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

fn programs() {
    let start = |words: &[&str]| {
        let mut cell = Command::new(env!("CARGO_BIN_EXE_cell"));
        Program::start(cell.args(words).stderr(Stdio::null()))
    };
    let program = start(&["tcp", "forking", "127.0.0.1:0", "127.0.0.1:0"]);
    assert_eq!(program.endpoints().len(), 2);
    for at in program.endpoints() {
        let mut client = Client::connect(at);
        client.send("echo hello\n").expect_line("hello");
        client.send("bye\n").expect_eof();
    }
    program.shutdown();

    let silent = failure(|| drop(start(&["tcp", "sync", "127.0.0.1:nowhere"])));
    assert!(silent.contains("does not listen"), "{silent}");
    let program = start(&["tcp", "sync", "127.0.0.1:0"]);
    program.connect().send("exit 7\n").rest();
    let failed = failure(|| program.shutdown());
    assert_eq!(failed, "the server ended with exit status: 7");
}
