//! Packets that are odd: empty ones, and those of peers whose address means something on one interface only.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use libtest_mimic::Trial;
use sockserv::bytes::Bytes;
use sockserv::prelude::*;
use sockserv::{Running, Timeout};
use sockserv_tests::{DEADLINE, wait_until};

use crate::echo::udp_sync;
use crate::{Test, namespaced};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("an_empty_packet_is_answered_by_an_empty_one", echoed),
        ("an_empty_message_is_an_empty_packet", framed),
        ("a_reply_that_was_not_written_is_not_sent", unwritten),
        ("a_conversation_may_have_no_time_at_all", no_time),
    ]
}

const LINK_LOCAL: &str = "a_link_local_peer_has_its_conversation";

/// An address that is good on one interface only.
const NEAR: SocketAddrV6 = SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 0, 0, 1);

/// In a network namespace, where the first interface is the loopback interface, and has such an address.
pub(crate) fn trials() -> Vec<Trial> {
    let prepare = "ip link set lo up && ip address add fe80::1/64 dev lo nodad";
    vec![namespaced::trial(LINK_LOCAL, "-rn", prepare)]
}

pub(crate) fn served() -> Vec<Test> {
    vec![(LINK_LOCAL, || conversation(NEAR))]
}

fn client(running: &Running) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let at = running.local_addr().as_inet().expect("a port");
    client.connect(at).expect("a loopback address");
    client
        .set_read_timeout(Some(DEADLINE))
        .expect("an own socket");
    client
}

fn ask(client: &UdpSocket, packet: &[u8]) -> Vec<u8> {
    client.send(packet).expect("it is bound");
    let mut reply = [0; 64];
    let count = client.recv(&mut reply).expect("a reply");
    reply[..count].to_vec()
}

fn echoed() {
    let server = udp_sync::EchoServer::bind_to("127.0.0.1:0", udp_sync::Echo);
    let running = server.expect("a free port").spawn().expect("a thread");
    let client = client(&running);
    assert_eq!(ask(&client, b""), b"");
    assert_eq!(ask(&client, b"full"), b"full");
}

macro_rules! framings {
    ($($module:ident: ($($framing:tt)*);)*) => {
        $(mod $module {
            use super::*;

            /// Answers each message by itself without its first byte, and `raw` by an empty write.
            #[derive(Clone)]
            pub(super) struct Tail;

            #[server(udp, $($framing)*, addr = "127.0.0.1:0", vis = pub(super))]
            impl Tail {
                fn message(&mut self, message: Bytes, replies: &mut Replies) -> io::Result<()> {
                    match &message[..] {
                        b"raw" => replies.write_all(b""),
                        message => replies.send(&message[1..]),
                    }
                }
            }
        })*

        fn framed() {
            $({
                let server = $module::TailServer::bind($module::Tail).expect("a free port");
                let running = server.spawn().expect("a thread");
                let client = client(&running);
                for (message, reply) in [("x", ""), ("xyz", "yz"), ("raw", "")] {
                    let got = ask(&client, message.as_bytes());
                    assert_eq!(got, reply.as_bytes(), "{} {message}", stringify!($module));
                }
            })*
        }
    };
}
framings! {
    length_prefixed: (length_prefixed(u16_be));
    record_marking: (record_marking);
}

/// Answers `yes` alone.
#[derive(Clone)]
struct Picky;

#[server(udp, addr = "127.0.0.1:0")]
impl Picky {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        let mut packet = Vec::new();
        datagram.rfile.read_to_end(&mut packet)?;
        match &packet[..] {
            b"yes" => datagram.wfile.write_all(b"said"),
            _ => datagram.wfile.flush(),
        }
    }
}

fn unwritten() {
    let server = PickyServer::bind(Picky).expect("a free port");
    let running = server.spawn().expect("a thread");
    let client = client(&running);
    client.send(b"no").expect("it is bound");
    assert_eq!(ask(&client, b"yes"), b"said");
}

/// Waits in a conversation for as many nanoseconds as the packet says, and answers how that ended.
#[derive(Clone)]
struct Waits;

#[server(udp, addr = "127.0.0.1:0")]
impl Waits {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        let nanos = std::str::from_utf8(datagram.packet())
            .unwrap_or_default()
            .parse();
        let conversation = datagram.conversation()?;
        conversation.set_timeout(Duration::from_nanos(nanos.unwrap_or_default()))?;
        let error = conversation.recv(&mut [0]).expect_err("nobody sends");
        write!(
            datagram.wfile,
            "{}",
            error.get_ref().is_some_and(|error| error.is::<Timeout>())
        )
    }
}

fn no_time() {
    let server = WaitsServer::bind(Waits).expect("a free port");
    let running = server.spawn().expect("a thread");
    let client = client(&running);
    for nanos in ["0", "999", "1000"] {
        assert_eq!(ask(&client, nanos.as_bytes()), b"true", "{nanos} ns");
    }
}

/// Answers in a conversation of its own, with the address that it has there and the one that the packet came to.
#[derive(Clone)]
struct Talks;

#[server(udp)]
impl Talks {
    fn handle(&mut self, datagram: &mut Datagram) -> io::Result<()> {
        let conversation = datagram.conversation()?;
        let said = format!("{} {}", conversation.local_addr()?, datagram.local_addr());
        conversation.send(said.as_bytes()).map(drop)
    }
}

/// Waits until packets to that address arrive: for a moment after an interface was set up there is no route, and a socket
/// that was connected then never finds it.
fn wait_for_route(own: SocketAddrV6) {
    wait_until(|| {
        let socket = UdpSocket::bind(own).expect("an own address");
        let moment = Some(Duration::from_millis(10));
        socket.set_read_timeout(moment).expect("an own socket");
        let itself = socket.local_addr().expect("a port");
        socket.send_to(b"?", itself).is_ok() && socket.recv(&mut [0]).is_ok()
    });
}

/// Whether the server is bound to one address or to all.
fn conversation(own: SocketAddrV6) {
    wait_for_route(own);
    let all = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0);
    for at in [own, all] {
        let server = TalksServer::bind_to(SocketAddr::from(at), Talks).expect("a free port");
        let port = server.local_addr().port().expect("a port");
        let _running = server.spawn().expect("a thread");
        let client = UdpSocket::bind(own).expect("an own address");
        client
            .set_read_timeout(Some(DEADLINE))
            .expect("an own socket");
        let to = SocketAddrV6::new(*own.ip(), port, 0, own.scope_id());
        client.send_to(b"hello", to).expect("it is bound");
        let mut said = [0; 256];
        let (count, from) = client.recv_from(&mut said).expect("an answer");
        let said = std::str::from_utf8(&said[..count]).expect("text");
        assert_eq!(said, format!("{from} {to}"), "bound to {at}");
    }
}
