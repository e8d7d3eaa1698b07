//! What is told of a request whose rest somebody else has, or whose child still drains what its peer says. F65, promises 3, 5.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "the word `unsafe(forking)`: the handler needs no lock that a thread of this test holds"
)]

use std::net::TcpStream;
use std::time::{Duration, Instant};

use sockserv::Phase;
use sockserv::prelude::*;

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![(
        "p03_the_report_names_the_phase_of_a_thread_that_has_the_rest",
        rest_in_thread,
    )]
}

/// Tests that fork.
pub(crate) fn alone() -> Vec<Test> {
    vec![
        (
            "p03_the_report_names_the_phase_of_a_child_that_has_the_rest",
            rest_in_child,
        ),
        (
            "p05_a_child_that_drains_its_peer_is_counted_as_ended",
            counted_while_it_drains,
        ),
    ]
}

/// Hands the rest over, which asks for a shutdown and then does not end in time.
#[derive(Clone)]
enum Stuck {
    InThread,
    InChild,
}

#[server(tcp, sync, shutdown_grace = "0s")]
impl Stuck {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let rest = |stream: &mut Stream| {
            stream.server().shutdown();
            sockserv_tests::pace(Instant::now() + Duration::from_secs(4)); // Nothing outside ends it.
        };
        match self {
            Self::InThread => stream.finish_in_thread(rest),
            Self::InChild => stream.finish_in_child(rest),
        }
    }
}

fn phase_in_report(stuck: Stuck) {
    let mut server = StuckServer::bind_to("127.0.0.1:0", stuck).expect("a free port");
    let at = server.local_addr().as_inet().expect("a port");
    let client = TcpStream::connect(at).expect("it listens");
    server.serve_forever().expect("a good end");
    let report = server.handle().report().expect("there was a drain");
    assert_eq!(report.cut(), 1, "{report}");
    assert_eq!(report.unfinished()[0].phase(), Phase::Handle, "{report}");
    drop(client);
}

fn rest_in_thread() {
    phase_in_report(Stuck::InThread);
}

fn rest_in_child() {
    phase_in_report(Stuck::InChild);
}

/// Replies without having read anything.
#[derive(Clone)]
struct Deaf;

#[server(tcp, unsafe(forking))]
impl Deaf {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        // What the peer says must have arrived, so that it is unread at the end.
        stream
            .socket()
            .peek(&mut [std::mem::MaybeUninit::uninit()])?;
        stream.wfile.write_all(b"reply\n")
    }
}

fn counted_while_it_drains() {
    let server = DeafServer::bind_to("127.0.0.1:0", Deaf).expect("a free port");
    let running = server.spawn().expect("a thread");
    let at = running.local_addr().as_inet().expect("a port");
    let mut client = TcpStream::connect(at).expect("it listens");
    client.write_all(&[b'x'; 600]).expect("it is taken");
    assert_eq!(io::read_to_string(&client).expect("no reset"), "reply\n");
    let began = Instant::now();
    sockserv_tests::wait_until(|| running.handle().stats().finished > 0);
    assert!(began.elapsed() < Duration::from_secs(1), "{began:?}");
    client.write_all(b"still drained").expect("no reset");
    assert_eq!(running.handle().stats().active, 0);
    drop(client);
    running.shutdown().expect("a good end");
}
