//! `conformance!` in the tests of somebody's own crate, under the usual harness.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use sockserv::command::Close;
use sockserv::prelude::*;
use sockserv::{Incoming, Listener, conformance, testing};

#[derive(Clone)]
struct Echo;

#[server(tcp, threading)]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }
}

#[test]
fn every_model_says_the_same() {
    let said = conformance!(Echo, |peer| peer.send("hello\n").eof());
    assert_eq!(said, b"hello\n");
}

#[test]
fn a_script_may_ask_and_several_may_follow_each_other() {
    let said = conformance!(Echo, |peer| {
        peer.send("one\ntwo\n").expect_line("one");
        assert_eq!(peer.line(), "two");
    });
    assert_eq!(said, b"one\ntwo\n");
    let said = conformance!(Echo, [pool, prefork], |peer| peer.send("three").eof());
    assert_eq!(said, b"three");
}

#[derive(Clone)]
struct Upper;

#[server(udp)]
impl Upper {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        let reply = datagram.packet().to_ascii_uppercase();
        datagram.wfile.write_all(&reply)
    }
}

#[test]
fn datagrams_are_served_as_declared() {
    let said = conformance!(Upper, |peer| {
        peer.send("one").expect("ONE").send("two").expect("TWO");
    });
    assert_eq!(said, b"ONETWO");
}

/// Speaks by commands, and so is lent a thread for each message under `pool`.
#[derive(Clone, Default)]
struct Account {
    total: i64,
}

#[server(tcp, udp, pool, lines(ending = any), ignore_case)]
impl Account {
    #[command("ADD")]
    fn add(&mut self, numbers: Vec<i64>) -> i64 {
        self.total += numbers.into_iter().sum::<i64>();
        self.total
    }

    #[command("QUIT")]
    fn quit(&mut self) -> Close<&'static str> {
        Close("bye")
    }
}

#[test]
fn commands_are_called_by_every_model() {
    let said = conformance!(Account::default(), |peer| {
        peer.send("add 1\nadd 2").send(" 3\n");
        peer.expect_line("1").expect_line("6");
        peer.send("quit\n").expect_line("bye").expect_eof();
    });
    assert_eq!(said, b"1\n6\nbye\n");
}

#[test]
fn commands_are_called_in_memory() {
    testing::stream(Account::default())
        .short_reads(1)
        .sends("add 1\nadd 2 3\n")
        .expects("1\n6\n")
        .sends("quit\n")
        .expects("bye\n")
        .run();
    testing::datagram(Account::default())
        .sends("add 1 2")
        .expects("3\n")
        .run();
}

/// Hooks are the handler's own, and so is what goes wrong.
#[derive(Clone)]
struct Hooked {
    greeting: &'static str,
}

#[server(unix, wbufsize = 0, mode = 0o600)]
impl Hooked {
    fn verify_request(&self, peer: &Address) -> bool {
        matches!(peer, Address::Unnamed)
    }

    fn setup(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(self.greeting.as_bytes())
    }

    fn handle(&mut self, _stream: &mut Stream) -> io::Result<()> {
        Err(io::Error::other("on purpose"))
    }

    fn finish(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(b"bye\n")
    }

    fn handle_error(&mut self, _error: &RequestError, _peer: &Address) {}
}

#[test]
fn methods_hooks_and_options_are_those_of_the_declaration() {
    let said = conformance!(
        Hooked {
            greeting: "hello\n"
        },
        |peer| {
            peer.expect_line("hello").expect_line("bye").expect_eof();
        }
    );
    assert_eq!(said, b"hello\nbye\n");
}

/// Says how many requests it has counted: where each has a process of its own, always one.
#[derive(Clone)]
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

#[server(tcp, threading)]
impl Counting {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut line = String::new();
        stream.rfile.read_line(&mut line)?;
        COUNT.fetch_add(line.trim_end().len() as u64, Ordering::Relaxed);
        writeln!(stream, "{}", std::process::id())
    }
}

#[test]
#[should_panic(expected = "`threading` says")]
fn a_model_that_says_something_else_fails() {
    conformance!(Counting, |peer| peer.send("one\n"));
}

#[test]
#[should_panic(
    expected = "under `sync`: step 2: expect_line(\"ONE\"): \"one\" came; so far: \"one\\n\""
)]
fn a_step_that_fails_names_the_model() {
    conformance!(Echo, |peer| peer.send("one\n").expect_line("ONE"));
}

/// Takes its requests from nowhere.
#[derive(Default)]
struct Nowhere;

impl Listener for Nowhere {
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

#[derive(Clone)]
struct Unreachable;

#[server(listener = Nowhere)]
impl Unreachable {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(b"hello\n")
    }
}

#[test]
#[should_panic(expected = "this handler has a listener of its own")]
fn a_listener_of_its_own_is_asked_in_memory() {
    let record = testing::stream(Unreachable).run();
    assert_eq!(record.text(), "hello\n");
    conformance!(Unreachable, |peer| peer.eof());
}

/// Repeats what it is told in a voice of its own.
#[derive(Clone)]
struct Says(&'static str);

#[server(tcp, pool)]
impl Says {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        writeln!(stream, "{}", self.0)
    }
}

fn says(text: &'static str) -> Vec<u8> {
    conformance!(Says(text), [sync, prefork], |peer| peer.expect_line(text))
}

#[test]
fn a_function_of_several_tests_may_ask() {
    for text in ["one", "two", "three"] {
        assert_eq!(says(text), format!("{text}\n").as_bytes());
    }
}

#[test]
#[should_panic(expected = "does not serve")]
fn a_thread_of_the_tests_own_keeps_it_from_forking() {
    let (ends, end) = std::sync::mpsc::channel::<()>();
    let _other = std::thread::Builder::new()
        .name("busy".into())
        .spawn(move || end.recv());
    let say = || conformance!(Echo, [forking], |peer| peer.send("one\n"));
    drop((say(), ends));
}

mod inner {
    use super::*;

    #[test]
    fn a_test_in_a_module_is_found() -> Result<(), io::Error> {
        let ask = || conformance!(Echo, |peer| peer.send("deep\n"));
        assert_eq!(ask(), b"deep\n");
        Ok(())
    }
}
