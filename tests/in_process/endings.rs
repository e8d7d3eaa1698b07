//! How a connection ends when somebody else still holds its socket, or has it. Promise 5.

use std::net::Shutdown;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use socket2::Socket;
use sockserv::prelude::*;
use sockserv::{Busy, Incoming, Running};
use sockserv_tests::{DEADLINE, wait_until};

use crate::Test;
use crate::echo::connect;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("p05_a_duplicate_of_the_socket_keeps_no_end_back", duplicate),
        ("p05_a_guard_that_outlives_its_request_keeps_nothing", guard),
        ("p05_a_hook_that_keeps_the_socket_keeps_no_end_back", hook),
        (
            "p05_who_hands_the_rest_over_and_stays_keeps_no_end_back",
            stays,
        ),
        ("p05_many_peers_who_talk_on_lose_no_reply", many),
        ("p05_who_has_handed_his_stream_over_has_none", handed_over),
    ]
}

/// What a request leaves behind.
#[derive(Debug)]
enum Left {
    Socket(#[expect(dead_code, reason = "it only has to be alive")] Socket),
    Guard(#[expect(dead_code, reason = "it only has to be alive")] Busy),
}

/// Reads to the end and leaves something behind.
#[derive(Clone, Debug, Default)]
struct Leaves(Arc<Mutex<Vec<Left>>>);

#[server(tcp, threading, addr = "127.0.0.1:0", max_connections = 1)]
impl Leaves {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let left = match &*text {
            "guard" => Left::Guard(stream.busy()),
            _ => Left::Socket(stream.socket().try_clone()?),
        };
        self.0.lock().expect("no panic").push(left);
        stream.wfile.write_all(text.as_bytes())
    }
}

/// A client says this, and reads to the end, twice; there is room for one request.
fn twice(word: &str) {
    let leaves = Leaves::default();
    let server = LeavesServer::bind(leaves.clone()).expect("a free port");
    let running = server.spawn().expect("a thread");
    echo_to_the_end(&running, word);
    echo_to_the_end(&running, word);
    assert_eq!(leaves.0.lock().expect("no panic").len(), 2);
}

fn duplicate() {
    twice("socket");
}

fn guard() {
    twice("guard");
}

/// Says this, and reads the same up to the end.
fn echo_to_the_end(running: &Running, word: &str) {
    let mut client = connect(running);
    client.write_all(word.as_bytes()).expect("it is taken");
    client.shutdown(Shutdown::Write).expect("it is open");
    let text = io::read_to_string(client).expect("the reply and an end");
    assert_eq!(text, word);
}

/// Keeps the sockets that it is asked about.
#[derive(Clone, Default)]
struct Watches(Arc<Mutex<Vec<Socket>>>);

#[server(tcp, pool, addr = "127.0.0.1:0")]
impl Watches {
    fn verify_request(&self, _peer: &Address, incoming: &Incoming) -> bool {
        let socket = incoming.socket().and_then(|socket| socket.try_clone().ok());
        self.0.lock().expect("no panic").extend(socket);
        true
    }

    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }
}

fn hook() {
    let watches = Watches::default();
    let server = WatchesServer::bind(watches.clone()).expect("a free port");
    echo_to_the_end(&server.spawn().expect("a thread"), "watched");
    assert_eq!(watches.0.lock().expect("no panic").len(), 1);
}

/// Hands the request over, and stays until the test lets it go.
#[derive(Clone)]
struct Stays(Arc<Mutex<Receiver<()>>>);

#[server(tcp, sync, addr = "127.0.0.1:0")]
impl Stays {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream
            .finish_in_thread(|stream| io::copy(&mut stream.rfile, &mut stream.wfile).map(drop))?;
        let _ = self.0.lock().expect("no panic").recv(); // The test may have ended.
        Ok(())
    }
}

fn stays() {
    let (sender, receiver) = channel();
    let server = StaysServer::bind(Stays(Arc::new(Mutex::new(receiver))));
    let running = server.expect("a free port").spawn().expect("a thread");
    let _let_go = sender; // Dropped before the server, which waits for its handler.
    echo_to_the_end(&running, "handed over");
}

/// More than a small receive buffer takes, and less than a send buffer.
const MUCH: usize = 60_000;

/// Says much and ends, whatever its peer says meanwhile.
#[derive(Clone)]
struct Curt;

#[server(tcp, threading, addr = "127.0.0.1:0", max_connections = 100)]
impl Curt {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.read_exact(&mut [0])?;
        stream.wfile.write_all(&[b'x'; MUCH])
    }
}

fn many() {
    const PEERS: u64 = 60;
    let server = CurtServer::bind(Curt).expect("a free port");
    let handle = server.handle();
    let running = server.spawn().expect("a thread");
    let clients: Vec<_> = (0..PEERS).map(|_| connect(&running)).collect();
    for mut client in &clients {
        client.write_all(b"upload").expect("it is taken");
    }
    wait_until(|| handle.stats().finished == PEERS);
    for mut client in &clients {
        client.write_all(b" goes on").expect("it is drained");
    }
    for (number, client) in clients.into_iter().enumerate() {
        let reply = io::read_to_string(client).map(|reply| reply.len());
        assert_eq!(reply.ok(), Some(MUCH), "peer {number}");
    }
}

/// Hands its stream over, and says what it still can do with it.
#[derive(Clone)]
struct Gives(Sender<[bool; 6]>);

#[server(tcp, threading, addr = "127.0.0.1:0")]
impl Gives {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut word = [0];
        stream.read_exact(&mut word)?;
        let (sender, is_done) = channel::<()>();
        let kept = match word {
            [b's'] => Some(stream.into_inner()?),
            _ => {
                stream.finish_in_thread(move |stream| {
                    let _ = is_done.recv(); // Its sender is dropped.
                    io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
                })?;
                None
            }
        };
        let (mut reader, mut writer) = stream.split();
        let can = [
            writer.write_all(b"1").is_ok(),
            writer.write_all(b"2").is_ok(),
            writer.shutdown_write().is_ok(),
            reader.read(&mut [0; 1 << 14])? > 0 || reader.read(&mut [0])? > 0,
            stream.send_oob(b"3").is_ok(),
            stream.recv_oob(&mut [0]).is_ok(),
        ];
        let _ = self.0.send(can); // The test may have ended.
        drop(sender);
        match kept {
            Some((mut socket, unread)) => {
                socket.write_all(&unread)?;
                io::copy(&mut socket.try_clone()?, &mut socket).map(drop)
            }
            None => Ok(()),
        }
    }
}

fn handed_over() {
    for word in ["socket", "thread"] {
        let (sender, can) = channel();
        let server = GivesServer::bind(Gives(sender)).expect("a free port");
        let running = server.spawn().expect("a thread");
        let mut client = connect(&running);
        client.write_all(word.as_bytes()).expect("it is taken");
        client.shutdown(Shutdown::Write).expect("it is open");
        assert_eq!(can.recv_timeout(DEADLINE), Ok([false; 6]), "{word}");
        assert_eq!(io::read_to_string(client).expect("the rest"), word[1..]);
    }
}
