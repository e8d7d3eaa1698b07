//! Scripts of tests: what a step takes of what came, over sockets and in memory.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sockserv::prelude::*;
use sockserv::testing::{self, Client};
use sockserv_tests::Process;

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("a_script_takes_packets_one_by_one", packets),
        ("a_script_waits_for_an_empty_packet", empty_packet),
        ("a_script_sends_nothing_in_memory", nothing),
    ]
}

/// A test that counts descriptors.
pub(crate) fn alone() -> Vec<Test> {
    vec![("a_script_in_memory_leaves_nothing", leaves_nothing)]
}

/// Answers each word of a packet with a packet.
#[derive(Clone)]
struct Words;

#[server(udp)]
impl Words {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        let words = datagram.packet().split(|byte| *byte == b' ');
        words.into_iter().try_for_each(|word| {
            let peer = datagram.peer_addr();
            datagram.send_to(peer, word)
        })
    }
}

fn asked(question: &str) -> (sockserv::Running, Client) {
    let server = WordsServer::bind_to("127.0.0.1:0", Words).expect("a free port");
    let running = server.spawn().expect("a thread");
    let mut client = Client::connect(&running);
    client.send(question);
    (running, client)
}

/// Returns why the step fails.
fn fails(client: &mut Client, packet: &str) -> String {
    let step = AssertUnwindSafe(|| client.expect(packet).received().len());
    let failed = catch_unwind(step).expect_err("a wrong step");
    *failed.downcast().expect("a text")
}

fn packets() {
    let (_running, mut client) = asked("one two three four");
    client.expect("one").expect_line("two");
    let why = fails(&mut client, "threefour");
    assert!(why.contains("\"three\" came"), "{why}");
    let (_running, mut client) = asked("one two");
    let why = fails(&mut client, "on");
    assert!(why.contains("\"one\" came"), "{why}");
}

fn empty_packet() {
    let (_running, mut client) = asked("one  two ");
    client.expect("one").expect("").expect("two");
    assert_eq!(client.line(), "");
    let (_running, mut client) = asked("one");
    let why = fails(&mut client, "");
    assert!(why.contains("\"one\" came"), "{why}");
}

#[derive(Clone)]
struct Echo;

#[server(tcp)]
impl Echo {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
    }
}

fn nothing() {
    let script = testing::stream(Echo).sends("").sends("one");
    let record = script.expects("").expects("one").sends("").eof().run();
    assert_eq!(record.text(), "one");
}

/// Ends before its peer has said all.
#[derive(Clone)]
struct Curt;

#[server(tcp)]
impl Curt {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.wfile.write_all(b"enough\n")
    }
}

fn leaves_nothing() {
    let own = Process(std::process::id());
    let before = own.descriptors();
    let record = testing::stream(Curt).sends("a long story").run();
    assert_eq!(record.text(), "enough\n");
    drop(record);
    assert_eq!(own.descriptors(), before);
}
