//! The end of a connection whose peer still talks: whatever happens meanwhile, its reply arrives whole.

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;

use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;
use sockserv::Sender;
use sockserv::prelude::*;
use sockserv::socket2::{Domain, Socket, Type};
use sockserv_tests::{DEADLINE, Process, wait_until};

use crate::Test;
use crate::served::{Served, ended};

pub(crate) fn tests() -> Vec<Test> {
    vec![(
        "p05_a_long_message_of_a_sender_arrives_whole",
        long_message_of_a_sender,
    )]
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test(
        "p05_a_child_that_is_told_while_it_drains_drains_on",
        told_while_it_drains,
    )]
}

pub(crate) fn served() -> Vec<Test> {
    vec![("replies", || {
        ended(RepliesServer::bind(Replies).and_then(RepliesServer::run));
    })]
}

/// More than a peer takes that does not read, and less than the kernel takes of who sends it.
const LONG: usize = 150_000;

/// Answers a line at length, says which process did it, and leaves what else has come.
#[derive(Clone)]
struct Replies;

#[server(tcp, forking, addr = "127.0.0.1:0")]
impl Replies {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.socket().set_send_buffer_size(1 << 20)?;
        stream.rfile.read_line(&mut String::new())?;
        stream.wfile.write_all(&[b'x'; LONG])
    }

    fn finish(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.flush()?;
        writeln!(io::stderr(), "{}", std::process::id())
    }
}

/// Lends a sender after one line, and ends after another.
#[derive(Clone)]
struct Lends {
    to: mpsc::Sender<Sender>,
}

#[server(tcp, sync)]
impl Lends {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.socket().set_send_buffer_size(1 << 20)?;
        stream.rfile.read_line(&mut String::new())?;
        // A test that has ended takes no more.
        let _ = self.to.send(stream.sender());
        stream.rfile.read_line(&mut String::new()).map(drop)
    }
}

/// A client with little room for what it does not read.
fn connect_narrow(at: SocketAddr) -> io::Result<TcpStream> {
    let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    client.set_recv_buffer_size(4096)?;
    client.connect(&at.into())?;
    client.set_read_timeout(Some(DEADLINE))?;
    Ok(client.into())
}

fn told_while_it_drains() -> Result<(), Failed> {
    let mut server = Served::start("replies")?;
    let mut client = connect_narrow(server.at()?.parse()?)?;
    client.write_all(b"a question\nand what nobody reads")?;
    let child = Process(server.line().parse()?);
    wait_until(|| child.sleeps()); // It waits for what else the client may say.
    child.signal(Signal::TERM);
    wait_until(|| child.has_ended() || child.has_heard_all() && child.sleeps());
    client.write_all(b"and more")?;
    let mut reply = Vec::new();
    client.read_to_end(&mut reply)?;
    assert_eq!(reply.len(), LONG);
    drop(client);
    server.stop()?;
    Ok(())
}

fn long_message_of_a_sender() {
    let (to, senders) = mpsc::channel();
    let running = LendsServer::bind_to("127.0.0.1:0", Lends { to })
        .and_then(LendsServer::spawn)
        .expect("a free port");
    let at = running.local_addr().as_inet().expect("a port");
    let connect = || {
        let mut client = connect_narrow(at).expect("it listens");
        client.write_all(b"one\n").expect("it reads");
        let sender = senders.recv_timeout(DEADLINE).expect("it is served");
        (client, sender)
    };
    let (mut client, sender) = connect();
    sender.send([b'x'; LONG]).expect("there is room");
    client.write_all(b"two\n").expect("it reads");
    let _next = connect(); // The first one has ended.
    client.write_all(b"and more").expect("it is open");
    let mut got = Vec::new();
    client.read_to_end(&mut got).expect("no reset");
    assert_eq!(got.len(), LONG);
}
