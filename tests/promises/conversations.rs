//! Conversations, which have a socket of their own: a shutdown lets them go on for its grace and no longer. Promise 3.

use std::mem::MaybeUninit;
use std::net::SocketAddr;

use libtest_mimic::Trial;
use rustix::process::Signal;
use socket2::{SockAddr, Socket};
use sockserv_tests::{AT_ONCE, Cell, Scenario, Server};

use crate::for_each_datagram_cell;

pub(crate) fn trials() -> Vec<Trial> {
    [
        for_each_datagram_cell("conversation_has_a_socket_of_its_own", own_socket),
        for_each_datagram_cell("p03_a_conversation_may_end_in_the_grace", ends_in_grace),
        for_each_datagram_cell(
            "p03_a_conversation_is_told_when_the_grace_ends",
            told_at_last,
        ),
        for_each_datagram_cell("a07_a_second_signal_ends_a_conversation", second_signal),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// One end of a conversation; the server's end echoes until it has echoed `bye`.
struct Talk {
    socket: Socket,
    with: SockAddr,
}

impl Talk {
    fn begin(server: &Server) -> Self {
        let client = server.connect();
        // The answer comes from another address, so the client must not be connected.
        rustix::net::connect_unspec(client.socket())
            .expect("a datagram socket can be disconnected");
        let socket = client.socket().try_clone().expect("a second descriptor");
        let server_at = match server.cell().is_unix() {
            true => SockAddr::unix(server.addr()).expect("a short path"),
            false => server
                .addr()
                .parse::<SocketAddr>()
                .expect("an address")
                .into(),
        };
        socket
            .send_to(b"conversation", &server_at)
            .expect("it is sent");
        let (count, with) = receive(&socket);
        assert_eq!(count, 5);
        assert!(!are_same(&with, &server_at), "it is another socket");
        Self { socket, with }
    }

    fn echo(&self, text: &str) {
        let text = text.as_bytes();
        self.socket.send_to(text, &self.with).expect("it is sent");
        let (count, from) = receive(&self.socket);
        assert_eq!(count, text.len());
        assert!(are_same(&from, &self.with), "{from:?}");
    }
}

fn receive(socket: &Socket) -> (usize, SockAddr) {
    let mut packet = [MaybeUninit::uninit(); 64];
    socket.recv_from(&mut packet).expect("a packet")
}

fn are_same(one: &SockAddr, other: &SockAddr) -> bool {
    let parts = |address: &SockAddr| {
        let name = address.as_abstract_namespace().map(<[u8]>::to_vec);
        let path = address.as_pathname().map(std::path::Path::to_owned);
        (address.as_socket(), path, name)
    };
    parts(one) == parts(other)
}

fn own_socket(cell: Cell) {
    let server = Server::start(cell);
    let talk = Talk::begin(&server);
    talk.echo("one");
    talk.echo("bye");
    if cell.is_concurrent() {
        server.connect().echo("the server's own socket goes on");
    }
    let _ = server.stop();
}

fn ends_in_grace(cell: Cell) {
    let server = Scenario::new(cell).with("shutdown-grace", "60s").start();
    let talk = Talk::begin(&server);
    server.signal(Signal::TERM);
    server.process().expect_no_pending_signal();
    talk.echo("one");
    talk.echo("bye");
    let ended = server.wait();
    ended.expect_good_within(AT_ONCE);
    ended.expect_counts(1, 0, 0);
    assert_eq!(ended.summary().number("cut"), 0);
}

fn told_at_last(cell: Cell) {
    let server = Scenario::new(cell).with("shutdown-grace", "300ms").start();
    let talk = Talk::begin(&server);
    let ended = server.terminate();
    ended.expect_good_within(AT_ONCE); // It ended by itself when it was told.
    ended.expect_counts(0, 1, 0);
    let error = ended.events("error");
    assert_eq!(error[0].get("phase"), "handle", "{error:?}");
    drop(talk);
}

fn second_signal(cell: Cell) {
    let server = Scenario::new(cell).with("shutdown-grace", "60s").start();
    let talk = Talk::begin(&server);
    server.signal(Signal::TERM);
    server.process().expect_no_pending_signal();
    server.signal(Signal::TERM);
    let ended = server.wait();
    assert!(ended.took < AT_ONCE, "{:?}", ended.took);
    drop(talk);
}
