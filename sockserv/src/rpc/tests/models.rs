//! One interface under every model, on every transport.

use std::os::unix::net::UnixDatagram;

use super::{call, read, receive, record, udp, words};
use crate::prelude::*;
use sockserv::testing;

const PING: u32 = 0x2000_0100;

fn ping(xid: u32) -> Vec<u8> {
    call([xid, PING, 1, 1], |output| {
        output.string("ping", 9).unwrap()
    })
}

fn pong(xid: u32) -> Vec<u8> {
    let mut reply = words(&[xid, 1, 0, 0, 0, 0, 4]);
    reply.extend_from_slice(b"ping");
    reply
}

macro_rules! ping {
    ($($name:ident: ($($word:tt)+);)*) => {$(
        mod $name {
            use crate::prelude::*;

            #[derive(Clone)]
            pub(super) struct Ping;

            #[server($($word)+, rpc = "src/rpc/ping.x", vis = pub(super))]
            impl Ping {
                #[allow(clippy::unused_self, reason = "a procedure without a state")]
                fn ping(&mut self, text: String) -> String {
                    text
                }
            }
        }
    )*};
}
ping! {
    sync: (tcp, udp, sync, addr = "127.0.0.1:0");
    threading: (tcp, udp, threading, addr = "127.0.0.1:0");
    pool: (tcp, udp, pool(workers = 2), addr = "127.0.0.1:0");
    unix: (unix, threading);
    unix_datagram: (unix_datagram, threading);
}

/// Two calls on a connection and one in a packet.
fn answers_pings(server: crate::Running) {
    let mut tcp = server.connect().unwrap();
    tcp.write_all(&[record(&ping(1)), record(&ping(2))].concat())
        .unwrap();
    assert_eq!((read(&mut tcp), read(&mut tcp)), (pong(1), pong(2)));
    drop(tcp);
    let udp = udp(&server);
    udp.send(&ping(3)).unwrap();
    assert_eq!(receive(&udp), pong(3));
    server.shutdown().unwrap();
}

#[test]
fn every_model_that_threads_can_test() {
    answers_pings(sync::PingServer::bind(sync::Ping).unwrap().spawn().unwrap());
    answers_pings(
        threading::PingServer::bind(threading::Ping)
            .unwrap()
            .spawn()
            .unwrap(),
    );
    answers_pings(pool::PingServer::bind(pool::Ping).unwrap().spawn().unwrap());
}

#[test]
fn calls_are_answered_in_memory() {
    let replies = [record(&pong(1)), record(&pong(2))].concat();
    testing::stream(sync::Ping)
        .short_reads(3)
        .short_writes(5)
        .sends([record(&ping(1)), record(&ping(2))].concat())
        .expects(replies)
        .run();
    testing::datagram(sync::Ping)
        .sends(ping(3))
        .expects(pong(3))
        .run();
}

#[test]
fn every_model_gives_the_same_reply() {
    let said = sockserv::conformance!(sync::Ping, |peer| peer.send(record(&ping(1))).eof());
    assert_eq!(said, record(&pong(1)));
}

#[test]
fn unix_sockets_carry_calls_too() {
    let folder = std::env::temp_dir().join(format!("sockserv-rpc-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let at = |name: &str| format!("unix:{}", folder.join(name).display());

    let server = unix::PingServer::bind_to(&*at("stream"), unix::Ping).unwrap();
    let server = server.spawn().unwrap();
    let mut client = server.connect().unwrap();
    client.write_all(&record(&ping(1))).unwrap();
    assert_eq!(read(&mut client), pong(1));
    drop(client);
    server.shutdown().unwrap();

    let server = unix_datagram::PingServer::bind_to(&*at("packets"), unix_datagram::Ping).unwrap();
    let server = server.spawn().unwrap();
    let client = UnixDatagram::bind(folder.join("client")).unwrap();
    client.send_to(&ping(2), folder.join("packets")).unwrap();
    let mut packet = [0; 100];
    let length = client.recv(&mut packet).unwrap();
    assert_eq!(packet[..length], pong(2));
    server.shutdown().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
