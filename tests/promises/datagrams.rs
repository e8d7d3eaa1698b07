//! What a packet's handler can do, and what becomes of its reply. F19, F48, F56, F62, F63, D23, D24.

use std::net::{Shutdown, UdpSocket};

use libtest_mimic::Trial;
use rustix::process::Signal;
use sockserv_tests::{Cell, Client, DEADLINE, Scenario, Server, Transport};

use crate::{for_each, for_each_datagram_cell};

pub(crate) fn trials() -> Vec<Trial> {
    let udp = |cell: &Cell| cell.transport == Transport::Udp;
    let unix = |cell: &Cell| cell.transport == Transport::UnixDatagram;
    [
        for_each_datagram_cell("d23_a_silent_handler_sends_nothing", silent),
        for_each_datagram_cell("f56_an_empty_reply_is_one_if_it_was_written", empty),
        for_each_datagram_cell("f56_several_writes_are_one_packet", in_parts),
        for_each_datagram_cell("d23_f19_a_packet_that_is_too_long_says_so", truncated),
        for_each_datagram_cell("d23_the_longest_packet_arrives_whole", longest),
        for_each_datagram_cell("f45_each_packet_has_its_own_handler", own_handler),
        for_each_datagram_cell("t07_the_addresses_are_known", addresses),
        for_each_datagram_cell("d24_replies_in_flight_survive_the_shutdown", in_flight),
        for_each_datagram_cell("p03_packets_in_the_queue_are_answered", queued_packets),
        for_each(
            udp,
            "f56_a_reply_that_is_too_long_is_an_error",
            reply_too_long,
        ),
        for_each(udp, "a_wildcard_replies_from_where_it_was_asked", wildcard),
        for_each(udp, "send_to_reaches_anybody", send_to),
        for_each(unix, "d23_an_unnamed_peer_cannot_be_answered", unnamed),
        for_each(
            unix,
            "f56_a_peer_that_vanished_is_a_quiet_disconnect",
            vanished,
        ),
        for_each(unix, "f56_a_peer_that_does_not_read_holds_up_nobody", full),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn silent(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.send("silent");
    client.echo("the first packet back");
    server.stop().expect_counts(2, 0, 0);
}

fn empty(cell: Cell) {
    let server = Server::start(cell);
    assert_eq!(server.connect().ask("empty"), "");
}

fn in_parts(cell: Cell) {
    let server = Server::start(cell);
    assert_eq!(
        server.connect().ask("in-parts one two three"),
        "onetwothree"
    );
}

fn truncated(cell: Cell) {
    let server = Scenario::new(cell).with("max-packet-size", "8192").start();
    let mut client = server.connect();
    let fits = format!("length {}", "x".repeat(8192 - 7));
    assert_eq!(client.ask(&fits), "8192 false");
    assert_eq!(client.ask(&format!("{fits}x")), "8192 true");
}

fn longest(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    let longest = if cell.is_unix() { 65_535 } else { 65_507 };
    assert_eq!(
        client.ask(&format!("length {}", "x".repeat(longest - 7))),
        format!("{longest} false")
    );
    assert_eq!(client.ask(&format!("send {longest}")).len(), longest);
}

fn own_handler(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    for _ in 0..3 {
        client.echo("from one peer");
    }
    let ended = server.stop();
    assert_eq!(ended.events("setup").len(), 3);
    assert_eq!(ended.events("drop").len(), 3);
}

fn addresses(cell: Cell) {
    let server = Server::start(cell);
    let local = if cell.is_unix() {
        format!("unix:{}", server.addr())
    } else {
        server.addr().to_owned()
    };
    let mut client = server.connect();
    assert_eq!(client.ask("who"), format!("{} {local}", client.name()));
}

fn in_flight(cell: Cell) {
    let server = Scenario::new(cell).with("shutdown-grace", "60s").start();
    let count = if cell.is_concurrent() { 5 } else { 1 };
    let mut waiting: Vec<_> = (0..count)
        .map(|nth| (server.connect(), server.gate(&format!("gate{nth}"))))
        .collect();
    for (client, gate) in &mut waiting {
        client.send(&format!("gate {}", gate.path()));
        server.event_of("waiting", client);
    }
    server.signal(Signal::TERM);
    server.process().expect_no_pending_signal();
    for (client, gate) in &mut waiting {
        gate.open();
        assert_eq!(client.reply(), "open");
    }
    let ended = server.wait();
    ended.expect_good();
    ended.expect_counts(count, 0, 0);
}

fn queued_packets(cell: Cell) {
    let server = Server::start(cell);
    server.process().signal(Signal::STOP); // So that everything is in the queue before the shutdown is asked for.
    let count = if cell.is_unix() { 8 } else { 20 }; // Linux queues ten Unix datagrams: net.unix.max_dgram_qlen.
    let mut clients: Vec<_> = (0..count).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("echo queued");
    }
    server.signal(Signal::TERM);
    server.process().signal(Signal::CONT);
    for client in &mut clients {
        assert_eq!(client.reply(), "queued");
    }
    let ended = server.wait();
    ended.expect_good();
    ended.expect_counts(count, 0, 0);
}

fn reply_too_long(cell: Cell) {
    let server = Server::start(cell);
    let mut client = server.connect();
    client.send("send 65508");
    let error = server.event_of("error", &client);
    assert_eq!(
        (
            error.get("phase"),
            error.get("panic"),
            error.get("disconnect")
        ),
        ("reply", "false", "false")
    );
    client.echo("the next one");
    server.stop().expect_counts(1, 1, 0);
}

fn wildcard(cell: Cell) {
    let server = Scenario::new(cell).at("0.0.0.0:0").start();
    let port = server.addr().rsplit(':').next().expect("a port").to_owned();
    for ip in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        // It is connected, so a reply from elsewhere would not reach it.
        let mut client =
            Client::connect(cell.transport, &format!("{ip}:{port}")).expect("a loopback address");
        let told = client.ask("who");
        assert_eq!(
            told.split(' ').nth(1),
            Some(format!("{ip}:{port}").as_str())
        );
    }
    server.stop().expect_counts(3, 0, 0);
}

fn send_to(cell: Cell) {
    let server = Server::start(cell);
    let third = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    third
        .set_read_timeout(Some(DEADLINE))
        .expect("an own socket");
    let mut client = server.connect();
    client.send(&format!(
        "send-to {} hello",
        third.local_addr().expect("it is bound")
    ));
    let mut packet = [0; 16];
    let (count, from) = third.recv_from(&mut packet).expect("a packet");
    assert_eq!(
        (&packet[..count], from.to_string().as_str()),
        (&b"hello"[..], server.addr())
    );
    client.echo("the client itself got nothing before");
}

fn unnamed(cell: Cell) {
    let server = Server::start(cell);
    let socket = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    for _ in 0..2 {
        socket
            .send_to(b"echo nobody", server.addr())
            .expect("it is sent");
    }
    let error = server.nth_event(1, "error");
    assert_eq!(
        (error.get("phase"), error.get("panic"), error.get("peer")),
        ("reply", "false", "unnamed")
    );
    socket
        .send_to(b"silent", server.addr())
        .expect("it is sent");
    server.connect().echo("named");
    server.stop().expect_counts(2, 2, 0);
}

fn vanished(cell: Cell) {
    let server = Server::start(cell);
    let gate = server.gate("gate");
    let mut client = server.connect();
    client.send(&format!("gate {}", gate.path()));
    server.event_of("waiting", &client);
    // A process that another test is about to start may hold a copy for a moment: the peer has left all the same.
    client
        .socket()
        .shutdown(Shutdown::Both)
        .expect("an own socket");
    drop(client);
    gate.open();
    let error = server.event("error");
    assert_eq!(
        (error.get("phase"), error.get("disconnect")),
        ("reply", "true")
    );
    server.connect().echo("the next one");
    server.stop().expect_counts(1, 1, 0);
}

fn full(cell: Cell) {
    let server = Server::start(cell);
    let path = server.folder().join("deaf");
    // Not connected: a connected peer's queue has no bound of its own.
    let deaf = std::os::unix::net::UnixDatagram::bind(&path).expect("a fresh path");
    for _ in 0..20 {
        deaf.send_to(b"echo more than its queue holds", server.addr())
            .expect("the server reads");
    }
    let error = server.event("error");
    assert_eq!(
        (error.get("phase"), error.get("timeout"), error.get("which")),
        ("reply", "true", "Write")
    );
    assert_eq!(error.get("peer"), format!("unix:{}", path.display()));
    server.connect().echo("others are served");
}
