//! A [`Sender`] whose request runs under `sync`: nothing but the handler's own thread is there to send what waits.

use std::io::BufReader;
use std::net::TcpStream;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use sockserv::prelude::*;
use sockserv::{SendError, Sender};

use crate::Test;

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
        }
    }

    /// Sends until the socket and the queue are full; returns how many messages they hold.
    fn fill(&self) -> usize {
        let full = |number: &usize| match self.sender.send(message(*number)) {
            Ok(()) => false,
            error => error == Err(SendError::Full) || panic!("{error:?}"),
        };
        (0..100_000).find(full).expect("the queue has a bound")
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
        self.client.read_line(&mut line).expect("it goes on");
        line
    }
}

fn message(number: usize) -> String {
    format!("{number} {}\n", "x".repeat(60_000))
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
    let messages = lent.fill();
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

fn closed() {
    let mut lent = Lent::new();
    lent.echo("one");
    lent.client
        .get_ref()
        .shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    assert_eq!(lent.client.read(&mut [0]).expect("an end"), 0);
    // The end of file comes a moment before the request has ended.
    sockserv_tests::wait_until(|| lent.sender.is_closed());
    assert_eq!(lent.sender.send("too late\n"), Err(SendError::Closed));
    let report = lent.running.shutdown().expect("a good end");
    assert_eq!(report.cut(), 0);
}
