//! Message handlers under `pool`: no peer, whatever it does or leaves, holds the one thread that the others need.

use std::io::BufReader;
use std::net::TcpStream;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use sockserv::bytes::BytesMut;
use sockserv::codec::{Encoder, FrameError, Lines};
use sockserv::prelude::*;
use sockserv::{Running, SendError, Sender};

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("messages_to_a_parked_connection", sent_while_parked),
        (
            "messages_of_a_peer_that_reads_no_senders",
            choked_by_a_sender,
        ),
        ("messages_of_a_peer_that_reads_no_failure", || {
            choked_by("fail\n")
        }),
        ("messages_of_a_peer_that_reads_no_panic", || {
            choked_by("panic\n")
        }),
        ("messages_of_a_peer_that_reads_no_finish", choked_by_finish),
        ("messages_of_a_peer_that_reads_no_long_reply", || {
            choked_by("long\n")
        }),
        (
            "messages_of_a_peer_that_leaves_and_reads_no_senders",
            choked_by_a_sender_in_the_end,
        ),
        ("messages_in_halves_during_a_drain", halves_in_a_drain),
        ("messages_begun_during_a_drain", || begun_in_a_drain(pooled)),
        ("messages_begun_during_a_drain_of_threads", || {
            begun_in_a_drain(threaded)
        }),
        ("messages_of_a_codec_whose_drop_panics", panics_in_drop),
    ]
}

/// Far more than all buffers of a connection here hold.
const MUCH: usize = 8_000_000;

/// What both ends' buffers are set to.
const LITTLE: usize = 4096;

/// Echoes lines, but for a few that say something else.
#[derive(Clone)]
struct Echo {
    to: mpsc::Sender<Sender>,
    gate: Arc<Mutex<Receiver<()>>>,
    /// What `finish` writes.
    last: Vec<u8>,
}

impl Echo {
    fn answer(&mut self, line: &Bytes, replies: &mut Replies<'_>) -> io::Result<()> {
        match &**line {
            b"lend" => {
                let sender = replies.sender().expect("a stream");
                self.to.send(sender).expect("the test waits for it");
            }
            b"wait" => {
                replies.send("waiting")?;
                replies.flush()?;
                let gate = self.gate.lock().expect("nobody panics");
                gate.recv().expect("the test opens it");
            }
            b"fail" => {
                replies.write_all(&vec![b'x'; MUCH])?;
                return Err(io::Error::other("as it was asked to"));
            }
            b"long" => {
                replies.close();
                return replies.send(vec![b'x'; MUCH - 1]);
            }
            b"finish" => self.last = vec![b'x'; MUCH],
            b"panic" => {
                replies.write_all(&vec![b'x'; MUCH])?;
                panic!("as it was asked to");
            }
            _ => {}
        }
        replies.send(line)
    }
}

macro_rules! servers {
    ($($module:ident: $model:ident $(($($options:tt)*))?;)*) => {$(
        mod $module {
            use sockserv::prelude::*;

            #[derive(Clone)]
            pub(super) struct Echo(pub(super) super::Echo);

            #[server(tcp, $model $(($($options)*))?, timeout = "60s", shutdown_grace = "60s", lines(max = "16 MiB"), vis = pub(super))]
            impl Echo {
                fn setup(&mut self, stream: &mut Stream) -> io::Result<()> {
                    stream.socket().set_send_buffer_size(super::LITTLE)
                }

                fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
                    self.0.answer(&line, replies)
                }

                fn finish(&mut self, stream: &mut Stream) -> io::Result<()> {
                    stream.wfile.write_all(&self.0.last)
                }
            }
        }
    )*};
}
servers! {
    pool: pool(workers = 1);
    threading: threading;
}

fn pooled(echo: Echo) -> Running {
    pool::EchoServer::bind_to("127.0.0.1:0", pool::Echo(echo))
        .and_then(pool::EchoServer::spawn)
        .expect("a free port")
}

fn threaded(echo: Echo) -> Running {
    threading::EchoServer::bind_to("127.0.0.1:0", threading::Echo(echo))
        .and_then(threading::EchoServer::spawn)
        .expect("a free port")
}

/// A server, what its handlers lend, and what opens the gate.
struct Echoing {
    running: Running,
    senders: Receiver<Sender>,
    gate: mpsc::Sender<()>,
}

impl Echoing {
    fn new(start: fn(Echo) -> Running) -> Self {
        let (to, senders) = mpsc::channel();
        let (gate, opened) = mpsc::channel();
        let gates = Arc::new(Mutex::new(opened));
        let running = start(Echo {
            to,
            gate: gates,
            last: Vec::new(),
        });
        Self {
            running,
            senders,
            gate,
        }
    }

    fn client(&self) -> Client {
        Client::of(&self.running)
    }

    /// Waits until so many bytes have come in.
    fn has_received(&self, bytes: u64) {
        let began = std::time::Instant::now();
        while self.running.handle().stats().bytes_in < bytes {
            assert!(began.elapsed() < sockserv_tests::DEADLINE, "{bytes} bytes");
            std::thread::yield_now();
        }
    }

    /// Returns a client, and its connection's sender.
    fn lent(&self) -> (Client, Sender) {
        let mut client = self.client();
        client.echo("lend");
        (client, self.senders.recv().expect("the handler lends it"))
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn of(running: &Running) -> Self {
        let at = running.local_addr().as_inet().expect("a port");
        let domain = socket2::Domain::for_address(at);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(LITTLE).expect("an own socket");
        socket.connect(&at.into()).expect("it listens");
        socket
            .set_read_timeout(Some(sockserv_tests::DEADLINE))
            .expect("an own socket");
        Self(BufReader::new(socket.into()))
    }

    fn say(&mut self, text: &str) {
        let socket = self.0.get_mut();
        socket.write_all(text.as_bytes()).expect("it reads");
    }

    fn end(&mut self) {
        let socket = self.0.get_mut();
        socket
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
    }

    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("no reset");
        rest
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it goes on");
        line
    }

    fn echo(&mut self, line: &str) {
        self.say(&format!("{line}\n"));
        assert_eq!(self.line(), format!("{line}\n"));
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

fn sent_while_parked() {
    let server = Echoing::new(pooled);
    let (mut client, sender) = server.lent();
    server.client().echo("the thread is free"); // So the other one is parked.
    let count = fill(&sender);
    for number in 0..count {
        assert!(client.line() == message(number), "message {number}");
    }
    client.echo("and it is still heard");
    client.echo("and again");
}

fn choked_by_a_sender() {
    let server = Echoing::new(pooled);
    let (mut client, sender) = server.lent();
    let count = fill(&sender);
    client.say("one\ntwo\n");
    server.has_received(13);
    server.client().echo("the thread is free");
    for number in 0..count {
        assert!(client.line() == message(number), "message {number}");
    }
    assert_eq!([client.line(), client.line()], ["one\n", "two\n"]);
    sender.send("three\n").expect("it has read all");
    assert_eq!(client.line(), "three\n");
    client.echo("four");
}

fn choked_by(end: &str) {
    let server = Echoing::new(pooled);
    let mut client = server.client();
    client.say(end);
    server.has_received(end.len() as u64);
    server.client().echo("the thread is free");
    assert_eq!(client.rest().len(), MUCH);
}

fn choked_by_finish() {
    let server = Echoing::new(pooled);
    let mut client = server.client();
    client.echo("finish");
    client.end();
    server.client().echo("the thread is free");
    assert_eq!(client.rest().len(), MUCH);
}

fn choked_by_a_sender_in_the_end() {
    let server = Echoing::new(pooled);
    let (mut client, sender) = server.lent();
    let count = fill(&sender);
    client.end();
    server.client().echo("the thread is free");
    for number in 0..count {
        assert!(client.line() == message(number), "message {number}");
    }
    assert_eq!(client.rest(), b"");
}

fn halves_in_a_drain() {
    let server = Echoing::new(pooled);
    let (mut first, mut second) = (server.client(), server.client());
    first.say("on");
    second.say("tw");
    server.has_received(4);
    server.running.handle().shutdown();
    first.say("e");
    server.has_received(5);
    second.say("o\n");
    assert_eq!([second.line(), second.line()], ["two\n", ""]);
    first.say("\n");
    assert_eq!([first.line(), first.line()], ["one\n", ""]);
}

fn begun_in_a_drain(start: fn(Echo) -> Running) {
    let server = Echoing::new(start);
    let mut client = server.client();
    client.say("wait\n");
    assert_eq!(client.line(), "waiting\n");
    server.running.handle().shutdown();
    client.say("ha");
    server.gate.send(()).expect("the handler waits");
    assert_eq!(client.line(), "wait\n");
    server.has_received(7);
    client.say("lf\n");
    assert_eq!([client.line(), client.line()], ["half\n", ""]);
}

/// Lines, until the connection ends.
struct Fragile(Lines);

impl Default for Fragile {
    fn default() -> Self {
        Self(Lines::new(100))
    }
}

impl sockserv::codec::Decoder for Fragile {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        self.0.decode(src)
    }
}

impl Encoder<Bytes> for Fragile {
    type Error = FrameError;

    fn encode(&mut self, item: Bytes, dst: &mut BytesMut) -> Result<(), FrameError> {
        self.0.encode(item, dst)
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("a codec that does not want to end");
    }
}

#[derive(Clone)]
struct Breaks;

#[server(tcp, pool(workers = 1), addr = "127.0.0.1:0", codec = Fragile)]
impl Breaks {
    fn message(&mut self, line: Bytes, replies: &mut Replies<Fragile>) -> io::Result<()> {
        replies.send(line)
    }

    fn handle_error(&mut self, _: &RequestError, _: &Address) {}
}

fn panics_in_drop() {
    let running = BreaksServer::bind(Breaks)
        .and_then(BreaksServer::spawn)
        .expect("a free port");
    for line in ["one", "two"] {
        let mut client = Client::of(&running);
        client.echo(line);
    }
}
