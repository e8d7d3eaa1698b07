//! Who may come, how often, and how many at once: promise 4 in every model that it concerns.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sockserv_tests::{Cell, Client, Scenario, Server, Transport, wait_until};

use crate::for_each;

pub(crate) fn trials() -> Vec<Trial> {
    let tcp = |cell: &Cell| cell.transport == Transport::Tcp;
    let inet = |cell: &Cell| !cell.is_unix();
    let concurrent_tcp = |cell: &Cell| cell.transport == Transport::Tcp && cell.is_concurrent();
    let concurrent_unix = |cell: &Cell| cell.transport == Transport::Unix && cell.is_concurrent();
    let concurrent = |cell: &Cell| cell.is_stream() && cell.is_concurrent();
    let packets = |cell: &Cell| !cell.is_stream() && cell.is_concurrent();
    [
        for_each(
            concurrent_tcp,
            "p04_a_peer_has_at_most_its_number",
            per_peer,
        ),
        for_each(
            concurrent_unix,
            "p04_unix_peers_are_under_no_limit_of_peers",
            unix_peers,
        ),
        for_each(concurrent, "p04_a_full_server_refuses_with_a_word", refuse),
        for_each(packets, "p04_a_full_server_drops_packets", refuse_packets),
        for_each(tcp, "p04_a_peer_comes_at_its_rate", rate),
        for_each(inet, "p04_the_best_match_decides_who_may_come", lists),
        for_each(
            packets,
            "a20_suspend_leaves_packets_in_the_queue",
            suspended,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const BANNER: &str = "busy, come back later";

fn observed(cell: Cell) -> Scenario {
    Scenario::new(cell)
        .with("observe", "on")
        .with("banner", BANNER)
}

/// Insists that so many peers are turned away for this reason, without a start or a stop.
fn check_refusals(server: Server, why: &str, refused: usize, served: usize) {
    let ended = server.stop();
    ended.expect_counts(served as u64, 0, refused as u64);
    ended.expect_lives(served);
    let told = ended.events("refused");
    assert_eq!(told.len(), refused, "{told:?}");
    assert!(told.iter().all(|event| event.get("why") == why), "{told:?}");
    assert!(ended.events("error").is_empty(), "{:?}", ended.lines);
}

fn per_peer(cell: Cell) {
    let scenario = observed(cell).with("max-connections-per-peer", "2");
    let server = scenario.start();
    let mut clients = [server.connect(), server.connect()];
    clients.iter_mut().for_each(|client| client.echo("served"));
    for _ in 0..2 {
        server.connect().expect_rest(BANNER);
    }
    let [mut first, mut second] = clients;
    first.finish();
    first.expect_end();
    let mut third = server.connect(); // Who sees an end finds its place free.
    third.echo("served");
    second.echo("live ones go on");
    drop((second, third));
    check_refusals(server, "per_peer", 2, 3);
}

fn unix_peers(cell: Cell) {
    let scenario = observed(cell).with("max-connections-per-peer", "1");
    let server = scenario.start();
    let mut clients = [server.connect(), server.connect(), server.connect()];
    clients.iter_mut().for_each(|client| client.echo("served"));
    drop(clients);
    check_refusals(server, "per_peer", 0, 3);
}

fn refuse(cell: Cell) {
    let scenario = observed(cell).with("max-connections", "2");
    let server = scenario.with("on-full", "refuse").start();
    let mut clients = [server.connect(), server.connect()];
    clients.iter_mut().for_each(|client| client.echo("served"));
    for _ in 0..3 {
        server.connect().expect_rest(BANNER);
    }
    clients
        .iter_mut()
        .for_each(|client| client.echo("live ones go on"));
    drop(clients);
    check_refusals(server, "full", 3, 2);
}

fn refuse_packets(cell: Cell) {
    let scenario = observed(cell).with("max-connections", "2");
    let server = scenario.with("on-full", "refuse").start();
    let gates = [server.gate("first"), server.gate("second")];
    let mut clients = [server.connect(), server.connect()];
    for (client, gate) in clients.iter_mut().zip(&gates) {
        client.send(&format!("gate {}", gate.path()));
        server.event_of("waiting", client);
    }
    let mut dropped = server.connect();
    dropped.send("echo not answered");
    assert_eq!(server.event_of("refused", &dropped).get("why"), "full");
    for (client, gate) in clients.iter_mut().zip(&gates) {
        gate.open();
        assert_eq!(client.reply(), "open");
    }
    dropped.expect_silence();
    check_refusals(server, "full", 1, 2);
}

fn rate(cell: Cell) {
    let server = observed(cell).with("accept-rate", "5").start();
    let began = Instant::now();
    let mut served = 0;
    let mut refused = 0;
    let mut come = || {
        let mut client = server.connect();
        let reply = client
            .try_send("echo served")
            .and_then(|()| client.try_reply());
        match reply {
            Ok(reply) => {
                assert_eq!(reply, "served");
                served += 1;
            }
            Err(_) => refused += 1, // The banner has no line end; or a reset, because it has spoken.
        }
        served
    };
    let at_once = (0..30).map(|_| come()).last().expect("there are thirty");
    // As many at once, and one more every 200 ms.
    let most = 5 + 1 + began.elapsed().as_millis() / 200;
    assert!((5..=most).contains(&at_once), "{at_once}, at most {most}");
    wait_until(|| come() > at_once); // A little later one more is welcome.
    check_refusals(server, "rate", refused, at_once as usize + 1);
}

fn lists(cell: Cell) {
    // The whole network, but for one address, and in a part of it that one alone.
    let server = observed(cell)
        .with("allow", "127.0.0.0/8")
        .with("deny", "127.0.0.2")
        .with("deny", "127.7.0.0/16")
        .with("allow", "127.7.7.7/32")
        .start();
    let mut refused = 0;
    for (ip, welcome) in [
        ("127.0.0.1", true),
        ("127.0.0.2", false),
        ("127.7.0.1", false),
        ("127.7.7.7", true),
        ("127.8.0.1", true),
    ] {
        let mut client = Client::connect_from(ip, cell.transport, server.addr()).expect("loopback");
        if welcome {
            client.echo("welcome");
            continue;
        }
        refused += 1;
        match cell.is_stream() {
            true => client.expect_end(), // Without a word.
            false => client.send("echo not answered"),
        }
        assert_eq!(server.event_of("refused", &client).get("why"), "access");
    }
    check_refusals(server, "access", refused, 3);
}

fn suspended(cell: Cell) {
    let server = observed(cell).start();
    let gate = server.gate("gate");
    let mut client = server.connect();
    client.send(&format!("suspend-gate {}", gate.path()));
    server.event_of("waiting", &client);
    let mut waiting = server.connect();
    waiting.send("echo queued");
    waiting.expect_silence_for(Duration::from_millis(150));
    assert_eq!(server.events("start").len(), 1);
    gate.open();
    assert_eq!(client.reply(), "true", "it says so");
    assert_eq!(waiting.reply(), "queued");
    check_refusals(server, "", 0, 2);
}
