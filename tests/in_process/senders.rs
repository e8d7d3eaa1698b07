//! A [`Sender`] whose request runs under `sync`: nothing but the handler's own thread is there to send what waits.

use std::io::BufReader;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Failed, Trial};
use rustix::process::{Resource, getrlimit, setrlimit};
use sockserv::prelude::*;
use sockserv::socket2::SockRef;
use sockserv::{SendError, Sender};
use sockserv_tests::wait_until;

use crate::Test;
use crate::served::{Served, connect, ended};

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test(
        "f65_what_senders_have_queued_goes_with_the_rest",
        queue_goes_with_the_rest,
    )]
}

pub(crate) fn served() -> Vec<Test> {
    vec![("hands_over", || {
        ended(HandsOverServer::bind(HandsOver).and_then(HandsOverServer::run));
    })]
}

/// Whose process has no descriptors left for a while.
pub(crate) fn alone() -> Vec<Test> {
    vec![(
        "a_sender_survives_that_descriptors_run_out",
        without_descriptors,
    )]
}

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("sender_under_sync_reaches_a_handler_that_reads", in_a_read),
        (
            "sender_under_sync_reaches_a_handler_that_waits_elsewhere",
            in_a_wait,
        ),
        (
            "sender_under_sync_is_flushed_at_the_next_write",
            at_the_next_write,
        ),
        (
            "sender_under_sync_is_flushed_at_the_next_read",
            at_the_next_read,
        ),
        ("what_a_sender_sends_counts_whoever_sends_it", counted),
        (
            "what_is_urgent_comes_behind_what_senders_have_queued",
            urgent_behind_queue,
        ),
        ("sender_under_sync_is_closed_with_its_request", closed),
    ]
}

/// Lends its sender, echoes lines, and waits for the gate where a line says so.
#[derive(Clone)]
struct Lend {
    to: mpsc::Sender<Sender>,
    gate: Arc<Mutex<Receiver<()>>>,
}

#[server(tcp, sync)]
impl Lend {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        self.to
            .send(stream.sender())
            .expect("the test waits for it");
        let mut line = String::new();
        while stream.rfile.read_line(&mut line)? > 0 {
            if line.starts_with("wait") {
                stream.wfile.write_all(b"waiting\n")?;
                stream.wfile.flush()?;
                let gate = self.gate.lock().expect("nobody panics");
                gate.recv().expect("the test opens it");
            }
            if line != "wait and read\n" {
                stream.wfile.write_all(line.as_bytes())?;
            }
            line.clear();
        }
        Ok(())
    }
}

/// A server, its one client, the handler's sender, and what opens the gate.
struct Lent {
    running: sockserv::Running,
    client: BufReader<TcpStream>,
    sender: Sender,
    gate: mpsc::Sender<()>,
    /// How many bytes the client has had.
    got: usize,
}

impl Lent {
    fn new() -> Self {
        let (to, senders) = mpsc::channel();
        let (gate, opened) = mpsc::channel();
        let gates = Arc::new(Mutex::new(opened));
        let running = LendServer::bind_to("127.0.0.1:0", Lend { to, gate: gates })
            .and_then(LendServer::spawn)
            .expect("a free port");
        let at = running.local_addr().as_inet().expect("a port");
        let client = TcpStream::connect(at).expect("it listens");
        client
            .set_read_timeout(Some(sockserv_tests::DEADLINE))
            .expect("an own socket");
        let sender = senders.recv().expect("the handler runs");
        Lent {
            running,
            client: BufReader::new(client),
            sender,
            gate,
            got: 0,
        }
    }

    /// Insists on so many messages, whole and in order, and then on this line.
    fn expect(&mut self, messages: usize, last: &str) {
        for number in 0..messages {
            assert!(
                self.line() == message(number),
                "message {number} of {messages}"
            );
        }
        assert_eq!(self.line(), last);
    }

    fn say(&mut self, line: &str) {
        writeln!(self.client.get_mut(), "{line}").expect("the handler reads");
    }

    fn echo(&mut self, line: &str) {
        self.say(line);
        assert_eq!(self.line(), format!("{line}\n"));
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.got += self.client.read_line(&mut line).expect("it goes on");
        line
    }
}

/// Sends until the socket and the queue are full; returns how many messages they hold.
fn fill(sender: &Sender) -> usize {
    let full = |number: &usize| match sender.send(message(*number)) {
        Ok(()) => false,
        error => error == Err(SendError::Full) || panic!("{error:?}"),
    };
    (0..100_000).find(full).expect("the queue has a bound")
}

fn message(number: usize) -> String {
    format!("{number} {}\n", "x".repeat(60_000))
}

/// Lends its sender, waits for the end, and counts the turns of its server.
#[derive(Clone)]
struct Waits {
    to: mpsc::Sender<Sender>,
    turns: Arc<AtomicUsize>,
}

#[server(tcp, threading)]
impl Waits {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        self.to
            .send(stream.sender())
            .expect("the test waits for it");
        stream.rfile.read_line(&mut String::new()).map(drop)
    }

    fn service_actions(&self) {
        self.turns.fetch_add(1, Ordering::SeqCst);
    }
}

fn without_descriptors() {
    let (to, senders) = mpsc::channel();
    let turns = Arc::new(AtomicUsize::new(0));
    let handler = Waits {
        to,
        turns: Arc::clone(&turns),
    };
    let running = WaitsServer::bind_to("127.0.0.1:0", handler)
        .and_then(WaitsServer::spawn)
        .expect("a free port");
    let client = crate::echo::connect(&running);
    let sender = senders.recv().expect("the handler runs");
    let limits = getrlimit(Resource::Nofile);
    let mut none = limits;
    none.current = Some(3); // The standard streams have these.
    setrlimit(Resource::Nofile, none).expect("less is allowed");
    let before = turns.load(Ordering::SeqCst);
    let messages = fill(&sender);
    wait_until(|| turns.load(Ordering::SeqCst) > before);
    setrlimit(Resource::Nofile, limits).expect("as much as before");
    let mut lines = BufReader::new(client).lines();
    for number in 0..messages {
        let line = lines.next().expect("it goes on").expect("no error");
        assert!(line == message(number).trim_end(), "message {number}");
    }
}

/// Queues as much as there is room for, and says something urgent.
#[derive(Clone)]
struct Urgent {
    messages: mpsc::Sender<usize>,
}

#[server(tcp, threading)]
impl Urgent {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let messages = fill(&stream.sender());
        self.messages.send(messages).expect("the test waits for it");
        stream.send_oob(b"now\n")
    }
}

fn urgent_behind_queue() {
    let (to, messages) = mpsc::channel();
    let running = UrgentServer::bind_to("127.0.0.1:0", Urgent { messages: to })
        .and_then(UrgentServer::spawn)
        .expect("a free port");
    let client = crate::echo::connect(&running);
    let socket = SockRef::from(&client);
    socket.set_out_of_band_inline(true).expect("an own socket");
    let messages = messages.recv().expect("the handler runs");
    let mut text = String::new();
    BufReader::new(&client)
        .read_to_string(&mut text)
        .expect("no error");
    let mut lines = text.split_inclusive('\n');
    for number in 0..messages {
        assert!(lines.next() == Some(&*message(number)), "{number}");
    }
    assert_eq!(lines.collect::<String>(), "now\n");
    assert_eq!(running.handle().stats().bytes_out, text.len() as u64);
}

/// Queues as much as there is room for, and hands the rest over.
#[derive(Clone)]
struct HandsOver;

#[server(tcp, sync, addr = "127.0.0.1:0")]
impl HandsOver {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let sender = stream.sender();
        (0..).find(|&number| sender.send(message(number)).is_err());
        stream.finish_in_child(|stream| stream.wfile.write_all(b"the rest\n"))?;
        writeln!(io::stderr(), "{}", sender.is_closed())
    }
}

fn queue_goes_with_the_rest() -> Result<(), Failed> {
    let mut server = Served::start("hands_over")?;
    let mut client = BufReader::new(connect(&server.at()?)?);
    let mut text = String::new();
    client.read_to_string(&mut text)?;
    let (messages, rest) = text.split_at(text.len().saturating_sub(9));
    assert_eq!(rest, "the rest\n");
    let messages = messages.split_inclusive('\n').enumerate();
    messages.for_each(|(number, got)| assert!(got == message(number), "{number}"));
    assert_eq!(server.line(), "true", "the child alone sends");
    server.stop()?;
    Ok(())
}

fn in_a_read() {
    let mut lent = Lent::new();
    lent.sender.send("told before it read\n").expect("alive");
    lent.expect(0, "told before it read\n");
    lent.echo("one");
    lent.sender.send("told while it reads\n").expect("alive");
    lent.expect(0, "told while it reads\n");
    lent.echo("two");
}

fn in_a_wait() {
    let mut lent = Lent::new();
    lent.say("wait");
    lent.expect(0, "waiting\n");
    lent.sender.send("told at once\n").expect("alive");
    lent.expect(0, "told at once\n");
    lent.gate.send(()).expect("the handler waits");
    lent.expect(0, "wait\n");
}

/// Fills the socket and the queue while the handler waits elsewhere; returns how many messages they hold.
fn filled(command: &str) -> (Lent, usize) {
    let mut lent = Lent::new();
    lent.say(command);
    lent.expect(0, "waiting\n");
    let messages = fill(&lent.sender);
    lent.gate.send(()).expect("the handler waits");
    (lent, messages)
}

fn at_the_next_write() {
    let (mut lent, messages) = filled("wait");
    lent.expect(messages, "wait\n");
}

/// It writes nothing more, and waits for a line that does not come.
fn at_the_next_read() {
    let (mut lent, messages) = filled("wait and read");
    lent.expect(messages - 1, &message(messages - 1));
    lent.echo("as before");
}

fn counted() {
    let mut lent = Lent::new();
    lent.say("wait");
    lent.expect(0, "waiting\n");
    lent.sender.send("told at once\n").expect("alive");
    lent.expect(0, "told at once\n");
    // What arrives is counted a moment later.
    wait_until(|| lent.running.handle().stats().bytes_out == lent.got as u64);
    let messages = fill(&lent.sender);
    lent.gate.send(()).expect("the handler waits");
    lent.expect(messages, "wait\n");
    lent.running.handle().shutdown(); // It is idle, and ends.
    assert_eq!(lent.line(), "");
    let stats = lent.running.handle().stats();
    assert_eq!(stats.bytes_out, lent.got as u64);
}

fn closed() {
    let mut lent = Lent::new();
    lent.echo("one");
    lent.client
        .get_ref()
        .shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    assert_eq!(lent.client.read(&mut [0]).expect("an end"), 0);
    // The end of file comes a moment before the request has ended.
    wait_until(|| lent.sender.is_closed());
    assert_eq!(lent.sender.send("too late\n"), Err(SendError::Closed));
    let report = lent.running.shutdown().expect("a good end");
    assert_eq!(report.cut(), 0);
}
