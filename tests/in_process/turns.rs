//! `pool`: who is always busy, be it one connection or a flood of packets, lets the others have their turn.

use std::hint;
use std::io::BufReader;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sockserv::prelude::*;

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("turns_beside_a_connection_that_never_rests", || {
            served_beside(connection_without_rest);
        }),
        ("turns_beside_packets_without_end", || {
            served_beside(packets_without_end);
        }),
    ]
}

/// Echoes lines.
#[derive(Clone)]
struct Echo;

#[server(tcp, udp, pool(workers = 1), lines(max = "1 KiB"))]
impl Echo {
    fn message(&mut self, line: Bytes, replies: &mut Replies) -> io::Result<()> {
        if replies.sender().is_none() {
            (0..20_000).for_each(|number| _ = hint::black_box(number)); // Packets come faster than they are handled.
        }
        replies.send(line)
    }
}

/// Whom the flood meets, and whether it goes on.
struct Flood {
    at: SocketAddr,
    goes_on: AtomicBool,
}

impl Flood {
    fn goes_on(&self) -> bool {
        self.goes_on.load(Ordering::Relaxed)
    }
}

/// On return nobody floods any more.
struct Ends<'a>(&'a Flood);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.goes_on.store(false, Ordering::Relaxed);
    }
}

fn connection_without_rest(flood: &Flood) {
    let mut socket = TcpStream::connect(flood.at).expect("it listens");
    let mut replies = socket.try_clone().expect("descriptors");
    thread::scope(|scope| {
        scope.spawn(move || io::copy(&mut replies, &mut io::sink()).expect("it goes on"));
        while flood.goes_on() {
            socket.write_all(&b"x\n".repeat(1 << 15)).expect("it reads");
        }
        socket
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
    });
}

fn packets_without_end(flood: &Flood) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    while flood.goes_on() {
        let sent = socket.send_to(b"x", flood.at);
        sent.expect("the kernel takes it, or forgets it");
    }
}

fn served_beside(floods: fn(&Flood)) {
    let server = EchoServer::bind_to("127.0.0.1:0", Echo).and_then(EchoServer::spawn);
    let server = server.expect("a free port");
    let flood = Flood {
        at: server.local_addr().as_inet().expect("a port"),
        goes_on: AtomicBool::new(true),
    };
    let first = TcpStream::connect(flood.at).expect("it listens");
    thread::scope(|scope| {
        let _ends = Ends(&flood);
        scope.spawn(|| floods(&flood));
        let before = server.handle().stats().bytes_in;
        sockserv_tests::wait_until(|| server.handle().stats().bytes_in > before + 1000);
        let timeout = Some(sockserv_tests::DEADLINE);
        first.set_read_timeout(timeout).expect("an own socket");
        let mut first = BufReader::new(first);
        for _ in 0..20 {
            first.get_mut().write_all(b"turn\n").expect("it is open");
            let mut line = String::new();
            first.read_line(&mut line).expect("it has its turn");
            assert_eq!(line, "turn\n");
        }
    });
}
