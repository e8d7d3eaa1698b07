//! `pool` and peers that have said nothing: who is greeted, and that no event of one gives a thread to another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sockserv::Running;
use sockserv::prelude::*;
use sockserv::socket2::Socket;
use sockserv::testing::Client;
use sockserv_tests::{DEADLINE, wait_until};

use crate::Test;
use crate::echo::echo_lines;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("p04_a_pool_of_one_thread_greets", greets_with_one),
        (
            "p04_a_pool_of_one_thread_that_reads_first_waits_for_no_silent_client",
            reads_with_one,
        ),
        (
            "p04_a_pool_of_one_thread_greets_all_for_a_message_handler",
            greets_all_with_one,
        ),
        (
            "p04_what_a_past_client_says_gives_nobody_a_thread",
            late_event,
        ),
    ]
}

/// Echoes lines, behind a greeting perhaps.
#[derive(Clone)]
struct Lines {
    greeting: &'static [u8],
}

#[server(tcp, pool(workers = 1), addr = "127.0.0.1:0")]
impl Lines {
    fn setup(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(self.greeting)
    }

    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        echo_lines(stream)
    }
}

fn lines(greeting: &'static [u8]) -> Running {
    LinesServer::bind(Lines { greeting })
        .and_then(LinesServer::spawn)
        .expect("a free port")
}

fn ask(client: &mut Client) {
    client.send("a line\n").expect_line("a line");
}

fn greets_with_one() {
    let running = lines(b"hello\n");
    for _ in 0..3 {
        ask(Client::connect(&running).expect_line("hello"));
    }
    running.shutdown().expect("a good end");
}

/// Longer than a client must be silent before it may be greeted.
const A_WHILE: Duration = Duration::from_millis(200);

fn reads_with_one() {
    let running = lines(b"");
    ask(&mut Client::connect(&running));
    let silent = Client::connect(&running);
    let began = Instant::now();
    while began.elapsed() < A_WHILE {
        ask(&mut Client::connect(&running));
    }
    drop(silent);
    running.shutdown().expect("a good end");
}

/// Greets, and echoes lines as messages.
#[derive(Clone)]
struct Messages;

#[server(tcp, pool(workers = 1), lines, addr = "127.0.0.1:0")]
impl Messages {
    fn setup(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(b"hello\n")
    }

    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        replies.send(line)
    }
}

fn greets_all_with_one() {
    let running = MessagesServer::bind(Messages)
        .and_then(MessagesServer::spawn)
        .expect("a free port");
    let mut clients: Vec<_> = (0..50).map(|_| Client::connect(&running)).collect();
    for client in &mut clients {
        client.expect_line("hello"); // All before it stay, and are silent.
    }
    clients.iter_mut().for_each(ask);
    drop(clients);
    running.shutdown().expect("a good end");
}

/// The first connection is taken from the server when the gate opens; the others are echoed.
#[derive(Clone)]
struct Takes {
    begun: Sender<()>,
    gate: Arc<Mutex<Receiver<()>>>,
    taken: Arc<Mutex<Vec<Socket>>>,
    has_begun: Arc<AtomicBool>,
}

#[server(tcp, pool(workers = 2), addr = "127.0.0.1:0")]
impl Takes {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let is_first = !self.has_begun.swap(true, Ordering::SeqCst);
        self.begun.send(()).expect("the test waits for it");
        if is_first {
            let gate = self.gate.lock().expect("nobody panics");
            gate.recv().expect("the test opens it");
            let (socket, _) = stream.into_inner()?;
            self.taken.lock().expect("nobody panics").push(socket);
            return Ok(());
        }
        echo_lines(stream)
    }
}

/// A client that was silent when it got its thread speaks when another one has its place in the table.
fn late_event() {
    let (begun, begins) = channel();
    let (gate, opened) = channel();
    let server = TakesServer::bind(Takes {
        begun,
        gate: Arc::new(Mutex::new(opened)),
        taken: Arc::default(),
        has_begun: Arc::default(),
    });
    let running = server.and_then(TakesServer::spawn).expect("a free port");
    let accepts = |count| wait_until(|| running.handle().stats().accepted == count);
    let begins = || begins.recv_timeout(DEADLINE).expect("it begins");

    let mut past = Client::connect(&running);
    begins();
    let second = Client::connect(&running);
    accepts(2);
    gate.send(()).expect("the handler waits");
    begins(); // The second has a thread, and the other one is for those who speak.
    let third = Client::connect(&running);
    accepts(3);
    past.send("late");
    ask(&mut Client::connect(&running));
    drop((second, third));
    running.shutdown().expect("a good end");
}
